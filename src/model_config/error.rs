//! Errors about config.json.

use std::io;

use thiserror::Error;

use crate::quote::quoted;

pub const CONFIG_FILE: &str = "config.json";

/// The reason why a config.json can't be used. The message begins with the file's name.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{CONFIG_FILE} is missing; copy it from the checkpoint")]
    Missing,
    #[error("{CONFIG_FILE} can't be read: {0}")]
    Read(#[source] io::Error),
    #[error("{CONFIG_FILE} is not a JSON object: {0}")]
    Json(String),
    #[error("{CONFIG_FILE}: `{}` {reason}", quoted(.key))]
    Value {
        /// The key with its path, such as `id2label.3`.
        key: String,
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
