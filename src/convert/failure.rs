//! Errors of converting a checkpoint.

use std::path::PathBuf;

use thiserror::Error;

use super::report::Compared;
use crate::engine::{EngineError, RuntimeError};
use crate::export::{ExportError, Precision};
use crate::text::TokenizerError;

/// The reason why an export failed.
#[derive(Debug, Error)]
pub enum ConvertError {
    /// The checkpoint can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The tokenizer can't be read, or belongs to another model.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The comparison needs ONNX Runtime, which can't be loaded.
    #[error(
        "ONNX Runtime is needed to compare the precision with fp32 (--precision fp32 does without): {0}"
    )]
    Runtime(#[from] RuntimeError),
    /// The device does not work.
    #[error(transparent)]
    Device(#[from] EngineError),
    /// The sample file does not suit the task.
    #[error("{}, line {line}: {reason}", path.display())]
    Samples {
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        reason: String,
    },
    /// The exported graph does not load, or fails on a sample.
    #[error("the graph in {precision} does not run: {error}")]
    Run {
        precision: Precision,
        #[source]
        error: EngineError,
    },
    /// The requested precision changes too many decisions.
    #[error(
        "{} changes too many decisions: {}. Export with --precision fp32, compare on your own texts with --samples, or \
         accept it with --accept-changed-decisions", .0.precision, .0.comparison
    )]
    ChangedDecisions(Compared),
}

impl ConvertError {
    /// Whether the failure is specific to this precision, so that another may work.
    pub(super) fn is_of(&self, failed: Precision) -> bool {
        match self {
            Self::Export(ExportError::Precision { precision, .. })
            | Self::Run { precision, .. } => *precision == failed,
            _ => false,
        }
    }
}
