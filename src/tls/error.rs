//! Why TLS can't be used as configured.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("The file `{}` of {option} can't be used: {reason}.", .path.display())]
pub struct TlsError {
    /// The setting or flag that names the file.
    option: &'static str,
    path: PathBuf,
    reason: String,
}

impl TlsError {
    pub(super) fn new(option: &'static str, path: &Path, reason: &impl ToString) -> Self {
        Self {
            option,
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }
}
