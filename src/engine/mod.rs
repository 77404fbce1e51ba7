//! Runs graphs on ONNX Runtime. No other module names `ort`.

mod description;
mod detach;
mod device;
mod external_data;
mod fusion;
mod graph;
mod linear_weights;
mod operators;
mod packed;
mod padded;
mod products;
mod runtime;
mod sessions;
mod shared_weights;
mod signature;
mod tensor_info;
mod tensors;
mod weights;

#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) mod testing;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use thiserror::Error;

use crate::inference::InferenceError;

pub use device::{Device, UnknownDevice};
pub use fusion::fuse_for_cpu;
pub use graph::{EngineOptions, Graph};
pub use packed::PackedBatch;
pub use padded::{PaddedBatch, PaddedInput};
pub use products::{BatchShape, ProductSessions};
pub use runtime::{Runtime, RuntimeError};
pub use sessions::usable_device;
pub use signature::{ConcludedTask, OutputRows};
pub use tensor_info::TensorInfo;

pub use crate::export::Precision;

/// The layout of a batch's sequences in a graph's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Sequences back to back, without padding: `electra export`'s own graphs.
    Packed,
    /// One row per sequence, padded to the longest: graphs of any other exporter.
    Padded,
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packed => formatter.write_str("packed"),
            Self::Padded => formatter.write_str("padded"),
        }
    }
}

/// The reason why a graph can't be loaded or run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The device does not work on this machine.
    #[error("{device} can't be used: {reason}")]
    Device {
        device: Device,
        /// ONNX Runtime's message.
        reason: String,
    },
    /// The graph's file can't be read, or is damaged.
    #[error("{} can't be loaded: {reason}", path.display())]
    Load {
        /// The graph's file, or the file of its weights.
        path: PathBuf,
        reason: String,
    },
    /// The graph's inputs or outputs are not ones that this server supports.
    #[error("{} can't be served: {reason}", path.display())]
    Unsupported {
        path: PathBuf,
        /// What is unexpected, and what to do.
        reason: String,
    },
    /// ONNX Runtime failed on a batch.
    #[error("ONNX Runtime failed: {0}")]
    Runtime(#[source] ort::Error),
    /// The graph's outputs are not what its declaration promises.
    #[error("ONNX Runtime failed: {0}")]
    Output(String),
    /// A batch failed.
    #[error("ONNX Runtime failed: {0}")]
    Inference(#[from] InferenceError),
    /// A thread that ran the graph panicked.
    #[error("a thread that ran the graph panicked")]
    Panicked,
}
