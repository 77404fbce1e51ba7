//! Reads a tokenizer's optional files.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::bounds;
use super::error::TokenizerError;
use crate::files;

/// Returns the text of a file without its byte order mark; `None` if the file does not exist.
pub(super) fn read_file(path: &Path) -> Result<Option<String>, TokenizerError> {
    match files::read_text(path, files::most::TOKENIZER) {
        Ok(text) => Ok(Some(match text.strip_prefix('\u{feff}') {
            Some(text) => text.to_owned(),
            None => text,
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

pub(super) fn object(text: &str, path: &Path) -> Result<Map<String, Value>, TokenizerError> {
    let invalid = |reason: String| TokenizerError::Invalid {
        path: path.to_owned(),
        reason,
    };
    bounds::check_values(text).map_err(invalid)?;
    serde_json::from_str(text).map_err(|error| invalid(format!("it is not a JSON object: {error}")))
}
