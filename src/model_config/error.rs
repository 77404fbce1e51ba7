//! Why a config.json can't be used.

use std::io;

use thiserror::Error;

use crate::quote::quoted;

/// The file's name in a model folder or a checkpoint.
pub const CONFIG_FILE: &str = "config.json";

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
    pub(super) fn value(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value {
            key: key.into(),
            reason: reason.into(),
        }
    }
}
