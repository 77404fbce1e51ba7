//! The error of commands.

use thiserror::Error;

use crate::config::SettingsMistakes;
use crate::telemetry::tracing::LogError;

#[derive(Debug, Error)]
pub enum CliError {
    /// The arguments are invalid. The sentence says what would be right.
    #[error("{0}")]
    Usage(String),
    /// The command failed. The sentence says why.
    #[error("{0}")]
    Failed(String),
    /// The failure was already reported, for example in the output.
    #[error("some of it failed")]
    Reported,
}

impl CliError {
    /// Wraps any error that makes a command fail.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<SettingsMistakes> for CliError {
    fn from(error: SettingsMistakes) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        Self::failed(error)
    }
}
