//! config.json: what transformers' configuration says of a model. One reader for exporting a checkpoint and for serving a
//! model folder, with transformers' defaults.
//!
//! Keys that are absent or null have transformers' default, unknown keys are passed over, and each refusal names the key.

mod entries;
mod labels;
mod shape;

use std::io;
use std::path::Path;

use serde_json::{Map, Value};
use thiserror::Error;

use self::entries::Entries;
use crate::heads::classify::ProblemType;
use crate::quote::quoted;
use crate::task::{Architecture, Task};

pub use self::labels::default_label;
pub use self::shape::ModelShape;

/// The file's name in a model folder or a checkpoint.
pub const CONFIG_FILE: &str = "config.json";

/// The default of transformers' configurations of ELECTRA, BERT and DistilBERT.
const DEFAULT_MAX_TOKENS: usize = 512;
/// That of ELECTRA's and BERT's.
const DEFAULT_TOKEN_TYPES: usize = 2;
/// Room for the two special tokens, and two more.
const LEAST_MAX_TOKENS: usize = 4;

/// What config.json says of a model of any architecture. The sizes of an ELECTRA encoder are in [`ModelShape`].
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    entries: Entries,
    /// `architectures`: class names of transformers, such as `ElectraForPreTraining`; may be empty.
    pub architectures: Vec<String>,
    /// `max_position_embeddings`: the longest sequence in tokens, special tokens included.
    pub max_tokens: usize,
    /// `vocab_size`: rows of the word embedding, if the file says so.
    pub vocabulary_size: Option<usize>,
    /// `type_vocab_size`: rows of the token type embedding.
    pub token_types: usize,
    /// `id2label` in the order of its ids, or as many default names as `num_labels` says; none if neither is there.
    pub labels: Option<Vec<String>>,
    /// `problem_type`: what a sequence head's logits mean.
    pub problem_type: Option<ProblemType>,
}

/// Why a config.json can't be used: half a sentence that begins with the file's name.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There is none.
    #[error("{CONFIG_FILE} is missing; copy it from the checkpoint")]
    Missing,
    /// The system doesn't let it be read.
    #[error("{CONFIG_FILE} can't be read: {0}")]
    Read(#[source] io::Error),
    /// It is not JSON, or not an object.
    #[error("{CONFIG_FILE} is not a JSON object: {0}")]
    Json(String),
    /// A key has a value that can't be used.
    #[error("{CONFIG_FILE}: `{}` {reason}", quoted(.key))]
    Value {
        /// The key, with the path to it: `id2label.3`.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
}

impl ConfigError {
    fn value(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value {
            key: key.into(),
            reason: reason.into(),
        }
    }
}

impl ModelConfig {
    /// Reads the config.json in a folder.
    ///
    /// # Errors
    /// [`ConfigError`] if it is missing, can't be read, is not a JSON object, or has a value that can't be used.
    pub fn from_folder(folder: &Path) -> Result<Self, ConfigError> {
        match std::fs::read(folder.join(CONFIG_FILE)) {
            Ok(json) => Self::parse(&json),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ConfigError::Missing),
            Err(error) => Err(ConfigError::Read(error)),
        }
    }

    /// Reads a config.json's content.
    ///
    /// # Errors
    /// As [`Self::from_folder`].
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let entries: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| ConfigError::Json(error.to_string()))?;
        let entries = Entries::new(entries);
        let problem_type = entries.text("problem_type")?.map(|name| {
            name.parse().map_err(|_: String| {
                let known =
                    "must be regression, single_label_classification or multi_label_classification";
                entries::refused("problem_type", &name.into(), known)
            })
        });
        Ok(Self {
            architectures: entries.texts("architectures")?,
            max_tokens: entries
                .count("max_position_embeddings", LEAST_MAX_TOKENS)?
                .unwrap_or(DEFAULT_MAX_TOKENS),
            vocabulary_size: entries.count("vocab_size", 1)?,
            token_types: entries
                .count("type_vocab_size", 1)?
                .unwrap_or(DEFAULT_TOKEN_TYPES),
            labels: labels::read(&entries)?,
            problem_type: problem_type.transpose()?,
            entries,
        })
    }

    /// What the first class in `architectures` that is known computes.
    #[must_use]
    pub fn architecture(&self) -> Option<Architecture> {
        let mut classes = self.architectures.iter();
        classes.find_map(|class| Architecture::of_class(class))
    }

    /// The task that `architectures` names.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        match self.architecture()? {
            Architecture::Served(task) => Some(task),
            Architecture::NotServed(_) => None,
        }
    }

    /// The shape of the graph that this config.json stands beside: an export writes all sizes into it.
    ///
    /// # Errors
    /// As [`ModelShape::new`].
    pub fn shape(&self) -> Result<ModelShape, ConfigError> {
        ModelShape::new(self, &|_| None)
    }

    /// The content of a config.json for a graph of this shape: every size that the graph was built with is there, and what
    /// the graph does not have, such as pruned heads, is not.
    #[must_use]
    pub fn json_of(&self, shape: &ModelShape) -> String {
        let mut entries = self.entries.all().clone();
        entries.remove(shape::PRUNED_HEADS);
        for (key, size) in shape.sizes() {
            entries.insert(key.to_owned(), size.into());
        }
        let mut json = serde_json::to_string_pretty(&entries).unwrap_or_default();
        json.push('\n');
        json
    }
}

#[cfg(test)]
mod tests;
