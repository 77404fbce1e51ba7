//! Which of a repository's files an export needs: names in, names out.

use thiserror::Error;

use crate::export::adapter::{self, AdapterError};
use crate::model_config::CONFIG_FILE;

/// What describes a model; the first is needed.
const DESCRIPTION: &[&str] = &[
    CONFIG_FILE,
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
    /// The index of the shards can't be read.
    #[error("{0}")]
    Index(String),
    /// It is no model, but what was learned beside one.
    #[error(transparent)]
    Adapter(AdapterError),
    /// Shards are missing.
    #[error("its weights are incomplete: {index} is there, but not {missing}")]
    MissingShards {
        /// The index file.
        index: String,
        /// What is missing.
        missing: String,
    },
}

/// The files to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// config.json, the tokenizer's files, and the weights or the index of their shards.
    pub files: Vec<String>,
    /// Which of them is an index: the shards that it names are to be fetched too ([`shards`]).
    pub index: Option<String>,
}

/// The files to fetch, of all those in the repository: config.json, the tokenizer's files and one kind of weights.
///
/// # Errors
/// Where a config, a tokenizer or weights that can be read are missing.
pub fn select(files: &[String]) -> Result<Selection, SelectionError> {
    let has = |name: &str| files.iter().any(|file| file == name);
    if !has(CONFIG_FILE) {
        return Err(SelectionError::NoConfig);
    }
    let (weights, is_index) = weights(files)?;
    if !TOKENIZERS.iter().any(|name| has(name)) {
        return Err(SelectionError::NoTokenizer);
    }
    let described = DESCRIPTION.iter().filter(|name| has(name));
    Ok(Selection {
        index: is_index.then(|| weights.clone()),
        files: described
            .map(|name| (*name).to_owned())
            .chain([weights])
            .collect(),
    })
}

/// The shards to fetch: those that an index names, and nothing else, as an export reads them. Others may lie beside them,
/// left over from another way to cut the same weights.
///
/// # Errors
/// [`SelectionError::MissingShards`] for those that the repository does not have.
pub fn shards(
    files: &[String],
    index: &str,
    named: Vec<String>,
) -> Result<Vec<String>, SelectionError> {
    let missing: Vec<&str> = named
        .iter()
        .filter(|shard| !files.contains(shard))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(named);
    }
    Err(SelectionError::MissingShards {
        index: index.to_owned(),
        missing: missing.join(", "),
    })
}

/// Whether the repository holds an adapter and no weights of a model.
pub fn is_adapter(files: &[String]) -> bool {
    let has = |name: &str| files.iter().any(|file| file == name);
    weights(files).is_err() && adapter::is_adapter(has)
}

/// The weights, or the index of their shards, and which of the two it is.
fn weights(files: &[String]) -> Result<(String, bool), SelectionError> {
    for format in FORMATS {
        let whole = format!("{}.{}", format.stem, format.extension);
        let index = format!("{whole}.index.json");
        for (file, is_index) in [(whole, false), (index, true)] {
            if files.contains(&file) {
                return Ok((file, is_index));
            }
        }
    }
    Err(SelectionError::NoWeights {
        found: found(files),
    })
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

    fn owned(files: &[&str]) -> Vec<String> {
        files.iter().map(|file| (*file).to_owned()).collect()
    }

    fn selected(files: &[&str]) -> Result<Vec<String>, SelectionError> {
        select(&owned(files)).map(|selection| selection.files)
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
    fn of_shards_the_index_comes_first_and_says_which() {
        let files = owned(&[
            "config.json",
            "vocab.txt",
            "model.safetensors.index.json",
            "model-00000-of-00001.safetensors",
            "model-000001-of-000002.safetensors",
            "model-00001-of-00003.safetensors",
            "pytorch_model.bin",
        ]);
        let selection = select(&files).unwrap();
        assert_eq!(
            selection.index.as_deref(),
            Some("model.safetensors.index.json")
        );
        assert_eq!(selection.files[2..], ["model.safetensors.index.json"]);
        // However they are numbered, and whatever an older set left beside them.
        let find = |named: &[&str]| shards(&files, "model.safetensors.index.json", owned(named));
        for named in [
            &["model-00000-of-00001.safetensors"][..],
            &[
                "model-000001-of-000002.safetensors",
                "model-00001-of-00003.safetensors",
            ],
        ] {
            assert_eq!(find(named), Ok(owned(named)));
        }
        assert_eq!(
            find(&[
                "a.safetensors",
                "model-00000-of-00001.safetensors",
                "b.safetensors"
            ]),
            Err(SelectionError::MissingShards {
                index: "model.safetensors.index.json".to_owned(),
                missing: "a.safetensors, b.safetensors".to_owned(),
            })
        );
        let torch = owned(&["config.json", "vocab.txt", "pytorch_model.bin.index.json"]);
        let index = select(&torch).unwrap().index;
        assert_eq!(index.as_deref(), Some("pytorch_model.bin.index.json"));
        assert_eq!(
            select(&files[..2]).map_err(|error| error.to_string().contains("no weights")),
            Err(true)
        );
    }

    #[test]
    fn an_adapter_is_told_from_a_model() {
        let adapter = [
            "README.md",
            "adapter_config.json",
            "adapter_model.safetensors",
            "tokenizer.json",
        ];
        assert!(is_adapter(&owned(&adapter)));
        assert!(is_adapter(&owned(
            &[&adapter[..], &["config.json"]].concat()
        )));
        assert!(!is_adapter(&owned(
            &[&adapter[..], &["config.json", "model.safetensors"]].concat()
        )));
        assert!(!is_adapter(&owned(&["config.json", "tf_model.h5"])));
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
