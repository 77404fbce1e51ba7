//! The source of a checkpoint: the hub or a folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use super::name::{ModelReference, NameError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the hub, or in its cache.
    Hub(ModelReference),
    Folder(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OriginError {
    /// It is neither a valid model name nor an existing folder.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It is a path that does not exist.
    #[error("there is no folder `{0}`")]
    NoFolder(String),
}

impl FromStr for Origin {
    type Err = OriginError;

    /// An existing folder takes precedence over a name on the hub.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        if Path::new(text).is_dir() {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        if text.starts_with(['/', '.', '~']) {
            return Err(OriginError::NoFolder(text.to_owned()));
        }
        Ok(Self::Hub(text.parse()?))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub(reference) => reference.fmt(formatter),
            Self::Folder(path) => path.display().fmt(formatter),
        }
    }
}
