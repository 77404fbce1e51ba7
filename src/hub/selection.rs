//! Which of a repository's files an export needs: names in, names out.

use thiserror::Error;

/// What describes a model; the first is needed.
const DESCRIPTION: &[&str] = &[
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "added_tokens.json",
];
/// Either of them makes a tokenizer.
const TOKENIZERS: &[&str] = &["tokenizer.json", "vocab.txt"];

/// One way to store weights: in one file, or in shards with an index.
struct Format {
    stem: &'static str,
    extension: &'static str,
}

/// The ways that can be read, the better ones first.
const FORMATS: &[Format] = &[
    Format {
        stem: "model",
        extension: "safetensors",
    },
    Format {
        stem: "pytorch_model",
        extension: "bin",
    },
];

/// How weights that can't be read are recognised, and whose they are.
const FOREIGN: &[(&str, &str)] = &[
    (".h5", "TensorFlow"),
    (".ckpt.index", "TensorFlow"),
    (".msgpack", "Flax"),
    (".ot", "rust-bert"),
    (".onnx", "ONNX"),
    (".tflite", "TensorFlow Lite"),
    (".gguf", "GGUF"),
    (".mlmodel", "Core ML"),
    (".pt", "PyTorch"),
    (".pth", "PyTorch"),
    (".bin", "PyTorch"),
    (".safetensors", "safetensors"),
];

/// Why a repository's files are not enough.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectionError {
    /// Nothing says what kind of model it is.
    #[error("it has no config.json, so it is no transformers checkpoint")]
    NoConfig,
    /// Texts could not be read.
    #[error(
        "it has neither tokenizer.json nor vocab.txt; download the checkpoint, put its tokenizer beside it, and export that \
         folder by `electra export`"
    )]
    NoTokenizer,
    /// There are no weights that could be read.
    #[error(
        "it has no weights that can be read: these are model.safetensors or pytorch_model.bin, whole or in shards, and \
         {found}. Where transformers can load it, save it there with save_pretrained and export that folder by \
         `electra export`"
    )]
    NoWeights {
        /// What is there instead, as half a sentence.
        found: String,
    },
    /// Shards are missing.
    #[error("its weights are incomplete: {index} is there, but not {missing}")]
    MissingShards {
        /// The index file.
        index: String,
        /// What is missing.
        missing: String,
    },
}

/// The files to fetch, of all those in the repository: config.json, the tokenizer's files and one kind of weights.
///
/// # Errors
/// Where a config, a tokenizer or weights that can be read are missing.
pub fn select(files: &[String]) -> Result<Vec<String>, SelectionError> {
    let has = |name: &str| files.iter().any(|file| file == name);
    if !has("config.json") {
        return Err(SelectionError::NoConfig);
    }
    let weights = weights(files)?;
    if !TOKENIZERS.iter().any(|name| has(name)) {
        return Err(SelectionError::NoTokenizer);
    }
    let described = DESCRIPTION.iter().filter(|name| has(name));
    Ok(described
        .map(|name| (*name).to_owned())
        .chain(weights)
        .collect())
}

fn weights(files: &[String]) -> Result<Vec<String>, SelectionError> {
    let has = |name: &String| files.contains(name);
    for format in FORMATS {
        let whole = format!("{}.{}", format.stem, format.extension);
        if has(&whole) {
            return Ok(vec![whole]);
        }
        let index = format!("{whole}.index.json");
        if has(&index) {
            let mut shards = shards(files, format, &index)?;
            shards.insert(0, index);
            return Ok(shards);
        }
    }
    Err(SelectionError::NoWeights {
        found: found(files),
    })
}

/// All of `model-00001-of-00003.safetensors` and so on.
fn shards(files: &[String], format: &Format, index: &str) -> Result<Vec<String>, SelectionError> {
    let missing = |missing: String| SelectionError::MissingShards {
        index: index.to_owned(),
        missing,
    };
    let counts = files.iter().filter_map(|file| {
        let numbers = file
            .strip_prefix(format.stem)?
            .strip_prefix('-')?
            .strip_suffix(format.extension)?
            .strip_suffix('.')?;
        let (number, count) = numbers.split_once("-of-")?;
        number.parse::<u32>().ok()?;
        count.parse::<u32>().ok()
    });
    let count = counts.max().ok_or_else(|| {
        missing(format!(
            "the shards {}-00001-of-….{}",
            format.stem, format.extension
        ))
    })?;
    (1..=count)
        .map(|number| {
            let name = format!(
                "{}-{number:05}-of-{count:05}.{}",
                format.stem, format.extension
            );
            if files.contains(&name) {
                Ok(name)
            } else {
                Err(missing(name))
            }
        })
        .collect()
}

/// What is there in place of weights that can be read.
fn found(files: &[String]) -> String {
    let foreign: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let (_, kind) = FOREIGN.iter().find(|(ending, _)| file.ends_with(ending))?;
            Some(format!("{file} ({kind})"))
        })
        .collect();
    if foreign.is_empty() {
        "there are no weights at all".to_owned()
    } else {
        format!("there are only {}", foreign.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(files: &[&str]) -> Result<Vec<String>, SelectionError> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        select(&files)
    }

    #[test]
    fn one_kind_of_weights_is_taken_of_the_listings_of_known_repositories() {
        // google/electra-base-discriminator
        assert_eq!(
            selected(&[
                ".gitattributes",
                "README.md",
                "config.json",
                "flax_model.msgpack",
                "pytorch_model.bin",
                "rust_model.ot",
                "tf_model.h5",
                "tokenizer.json",
                "tokenizer_config.json",
                "vocab.txt",
            ])
            .unwrap(),
            [
                "config.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "vocab.txt",
                "pytorch_model.bin"
            ]
        );
        // deepset/electra-base-squad2
        assert_eq!(
            selected(&[
                ".gitattributes",
                "README.md",
                "config.json",
                "flax_model.msgpack",
                "model.safetensors",
                "pytorch_model.bin",
                "special_tokens_map.json",
                "tokenizer_config.json",
                "vocab.txt",
            ])
            .unwrap(),
            [
                "config.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "vocab.txt",
                "model.safetensors"
            ]
        );
        // A training run pushed as it was.
        assert_eq!(
            selected(&[
                "added_tokens.json",
                "checkpoint-500/model.safetensors",
                "checkpoint-500/optimizer.pt",
                "config.json",
                "model.safetensors",
                "onnx/model.onnx",
                "optimizer.pt",
                "runs/events.out.tfevents.1",
                "scheduler.pt",
                "tokenizer.json",
                "training_args.bin",
            ])
            .unwrap(),
            [
                "config.json",
                "tokenizer.json",
                "added_tokens.json",
                "model.safetensors"
            ]
        );
    }

    #[test]
    fn shards_come_with_their_index_and_all_together() {
        let files = [
            "config.json",
            "vocab.txt",
            "model.safetensors.index.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "pytorch_model.bin",
        ];
        assert_eq!(
            selected(&files).unwrap()[2..],
            [
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors"
            ]
        );
        assert_eq!(
            selected(&files[..4]).unwrap_err(),
            SelectionError::MissingShards {
                index: "model.safetensors.index.json".to_owned(),
                missing: "model-00002-of-00002.safetensors".to_owned(),
            }
        );
        assert!(
            selected(&files[..3])
                .unwrap_err()
                .to_string()
                .contains("not the shards model-00001-of-….safetensors")
        );
        assert_eq!(
            selected(&[
                "config.json",
                "vocab.txt",
                "pytorch_model.bin.index.json",
                "pytorch_model-00001-of-00001.bin"
            ])
            .unwrap()[2..],
            [
                "pytorch_model.bin.index.json",
                "pytorch_model-00001-of-00001.bin"
            ]
        );
    }

    #[test]
    fn what_is_missing_is_said_with_what_is_there() {
        let error = selected(&[
            "config.json",
            "vocab.txt",
            "tf_model.h5",
            "flax_model.msgpack",
        ]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("only tf_model.h5 (TensorFlow), flax_model.msgpack (Flax)"),
            "{error}"
        );
        let error = selected(&["config.json", "vocab.txt"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("no weights at all"), "{error}");
        assert_eq!(selected(&["README.md"]), Err(SelectionError::NoConfig));
        assert_eq!(
            selected(&["config.json", "model.safetensors"]),
            Err(SelectionError::NoTokenizer)
        );
    }
}
