//! Decides which of a repository's files an export needs, from their names alone.

use thiserror::Error;

use crate::export::adapter::{self, AdapterError};
use crate::model_config::CONFIG_FILE;

/// Files that describe a model. Only the first is required.
const DESCRIPTION: &[&str] = &[
    CONFIG_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "added_tokens.json",
];
/// One of these is required.
const TOKENIZERS: &[&str] = &["tokenizer.json", "vocab.txt"];

/// A format of weights: one file, or shards with an index.
struct WeightsFormat {
    stem: &'static str,
    extension: &'static str,
}

/// Readable formats, in order of preference.
const FORMATS: &[WeightsFormat] = &[
    WeightsFormat {
        stem: "model",
        extension: "safetensors",
    },
    WeightsFormat {
        stem: "pytorch_model",
        extension: "bin",
    },
];

/// Patterns of weights that can't be read, and the framework of each.
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

/// Why a repository's files are not sufficient.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectionError {
    /// config.json is missing.
    #[error("it has no config.json, so it is not a transformers checkpoint")]
    NoConfig,
    #[error(
        "it has neither tokenizer.json nor vocab.txt; download the checkpoint, add its tokenizer to the folder, and export that \
         folder with `electra export`"
    )]
    NoTokenizer,
    #[error(
        "it has no weights that can be read: these are model.safetensors or pytorch_model.bin, whole or in shards, and \
         {found}. If transformers can load it, save it with save_pretrained and export that folder with \
         `electra export`"
    )]
    NoWeights {
        /// The weights of other frameworks that are there, as half a sentence.
        found: String,
    },
    /// The index of the shards can't be parsed.
    #[error("{0}")]
    Index(String),
    /// The repository holds an adapter, not a model.
    #[error(transparent)]
    Adapter(AdapterError),
    #[error("its weights are incomplete: {index} is there, but not {missing}")]
    MissingShards { index: String, missing: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// config.json, the tokenizer's files, and the weights or the index of their shards.
    pub files: Vec<String>,
    /// The index among them, if any. Its shards must be fetched too ([`shards`]).
    pub index: Option<String>,
}

/// Selects config.json, the tokenizer's files and one format of weights from a repository's files.
///
/// # Errors
/// If config.json, a tokenizer, or weights in a readable format are missing.
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

/// Lists the shards to fetch: exactly those that the index names, which are those that an export reads. Other shards
/// may remain in the repository from an earlier sharding.
///
/// # Errors
/// [`SelectionError::MissingShards`] if the repository lacks any of them.
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

/// The weights or the index of their shards, and whether it is an index.
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

/// Describes the unreadable weights in the repository.
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
mod tests;
