//! Reads config.json of a model of any architecture.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::entries::{self, Entries};
use super::error::{CONFIG_FILE, ConfigError};
use super::labels;
use crate::files;
use crate::heads::classify::ProblemType;
use crate::task::{Architecture, Task};

/// transformers' default for ELECTRA, BERT and DistilBERT.
pub(super) const DEFAULT_MAX_TOKENS: usize = 512;
/// transformers' default for ELECTRA and BERT.
pub(super) const DEFAULT_TOKEN_TYPES: usize = 2;
/// Room for two special tokens and two others.
const LEAST_MAX_TOKENS: usize = 4;

/// What config.json says of a model of any architecture. The sizes of an ELECTRA encoder are in [`ModelShape`](super::ModelShape).
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    pub(super) entries: Entries,
    /// `architectures`: class names of transformers, such as `ElectraForPreTraining`; may be empty.
    pub architectures: Vec<String>,
    /// `max_position_embeddings`: length of the longest sequence in tokens, special tokens included.
    pub max_tokens: usize,
    /// `vocab_size`: rows of the word embedding, if given.
    pub vocabulary_size: Option<usize>,
    /// `type_vocab_size`: rows of the token type embedding.
    pub token_types: usize,
    /// The names in `id2label`, sorted by id, or else `num_labels` default names; `None` if both keys are absent.
    pub labels: Option<Vec<String>>,
    /// `problem_type`: the meaning of a sequence head's logits.
    pub problem_type: Option<ProblemType>,
}

impl ModelConfig {
    /// Reads the config.json in a folder.
    ///
    /// # Errors
    /// [`ConfigError`] if it is missing, can't be read, is not a JSON object, or has a value that can't be used.
    pub fn from_folder(folder: &Path) -> Result<Self, ConfigError> {
        match files::read(&folder.join(CONFIG_FILE), files::most::CONFIG) {
            Ok(json) => Self::parse(&json),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ConfigError::Missing),
            Err(error) => Err(ConfigError::Read(error)),
        }
    }

    /// Parses the content of a config.json.
    ///
    /// # Errors
    /// As for [`Self::from_folder`].
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

    /// The architecture of the first known class in `architectures`.
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
}
