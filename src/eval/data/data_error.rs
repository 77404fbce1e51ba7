//! The error of files with labelled data.

use thiserror::Error;

use crate::quote::without_texts;

/// Why a file does not fit the task: a line number and a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct DataError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong in this line, and what would be right.
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
        // The error shows the line number before the sentence. serde's number is removed: in JSON lines it counts
        // within one line.
        let message = match message.rsplit_once(" at line ") {
            Some((message, _)) if error.line() > 0 => message,
            _ => &message,
        };
        let message = without_texts(message);
        let reason = format!("column {}: {message}; {wanted}", error.column());
        Self::at(error.line().max(1), reason)
    }
}
