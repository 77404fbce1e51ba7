//! Why a checkpoint could not be exported.

use std::path::PathBuf;

use thiserror::Error;

use super::report::Compared;
use crate::engine::{EngineError, RuntimeError};
use crate::export::{ExportError, Precision};
use crate::text::TokenizerError;

/// Why nothing was exported.
#[derive(Debug, Error)]
pub enum ExportFailure {
    /// The checkpoint can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The tokenizer can't be read, or is another model's.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The comparison needs ONNX Runtime.
    #[error(
        "a precision is compared with fp32 before it is accepted (--precision fp32 is not), and for that: {0}"
    )]
    Runtime(#[from] RuntimeError),
    /// The device does not work.
    #[error(transparent)]
    Device(#[from] EngineError),
    /// The sample file is not what the task needs.
    #[error("{}, line {line}: {reason}", path.display())]
    Samples {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The exported graph does not load, or fails on a sample.
    #[error("the graph in {precision} does not run: {reason}")]
    Run {
        /// The graph's precision.
        precision: Precision,
        /// What ONNX Runtime says.
        reason: String,
    },
    /// The precision asked for decides otherwise too often.
    #[error(
        "{} changes too many decisions: {}. Export with --precision fp32, give texts of your own kind with --samples, or \
         accept it with --accept-changed-decisions", .0.precision, .0.comparison
    )]
    ChangedDecisions(Compared),
}

impl ExportFailure {
    /// Whether another precision than this one may do.
    pub(super) fn is_of(&self, failed: Precision) -> bool {
        match self {
            Self::Export(ExportError::Precision { precision, .. })
            | Self::Run { precision, .. } => *precision == failed,
            _ => false,
        }
    }
}
