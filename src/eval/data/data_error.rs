//! Why a file of labelled data can't be read.

use thiserror::Error;

use crate::quote::without_texts;

/// Why a file is not what the task needs: a line and a sentence without its stop.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct DataError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there, and what would be right.
    pub reason: String,
}

impl DataError {
    pub(super) fn at(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
        }
    }

    pub(super) fn from_json(error: &serde_json::Error, wanted: &str) -> Self {
        let message = error.to_string();
        // The line stands before the sentence, and is another one in a file of lines.
        let message = match message.rsplit_once(" at line ") {
            Some((message, _)) if error.line() > 0 => message,
            _ => &message,
        };
        let message = without_texts(message);
        let reason = format!("column {}: {message}; {wanted}", error.column());
        Self::at(error.line().max(1), reason)
    }
}
