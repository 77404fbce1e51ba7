//! What is wrong with an electra.toml.

use std::path::PathBuf;

use thiserror::Error;

/// Why electra.toml can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The file exists and can't be read.
    #[error("{} can't be read: {reason}", path.display())]
    Unreadable {
        path: PathBuf,
        /// The operating system's message.
        reason: String,
    },
    /// The file has a mistake.
    #[error("{}: {mistake}", path.display())]
    Invalid {
        path: PathBuf,
        #[source]
        mistake: SettingsMistake,
    },
}

/// A mistake in electra.toml.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsMistake {
    /// The file is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// electra.toml has no such key.
    #[error("there is no key `{key}`. {hint}")]
    UnknownKey { key: String, hint: String },
    /// A value has the wrong type or is out of range.
    #[error("the key `{key}` can't be used: {reason}")]
    Value { key: String, reason: String },
    /// Requests could not use this name.
    #[error(
        "the alias `{0}` can't be used: an alias is a name without slashes or white space that does not end in @ and a \
         number"
    )]
    Alias(String),
}
