//! Why a command failed.

use thiserror::Error;

use crate::config::ConfigError;
use crate::telemetry::tracing::LogError;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// It was called wrongly: a sentence that says how it should be.
    #[error("{0}")]
    Usage(String),
    /// It could not do what it should: a sentence that says why.
    #[error("{0}")]
    Failed(String),
    /// What failed was said already, where it belongs.
    #[error("some of it failed")]
    Reported,
}

impl CliError {
    /// Anything that keeps a command from doing what it should.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        Self::failed(error)
    }
}
