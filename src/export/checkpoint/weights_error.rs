//! Errors about a weights file, before its path is added.

use std::io;
use std::path::Path;

use crate::export::ExportError;

#[derive(Debug)]
pub(super) enum WeightsError {
    Read(io::Error),
    Invalid(String),
}

impl WeightsError {
    pub(super) fn at(self, path: &Path) -> ExportError {
        let path = path.to_path_buf();
        match self {
            Self::Read(error) => ExportError::Read { path, error },
            Self::Invalid(reason) => ExportError::Weights { path, reason },
        }
    }
}

impl From<io::Error> for WeightsError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<String> for WeightsError {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}
