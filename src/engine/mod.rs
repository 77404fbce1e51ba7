//! Runs graphs on ONNX Runtime. The only place that names `ort`.

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

#[cfg(test)]
pub(crate) mod testing;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use thiserror::Error;

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

/// How a batch's sequences are laid out in a graph's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One after another, with no padding: `electra export`'s own graphs.
    Packed,
    /// A row each, filled up to the longest: graphs of any other exporter.
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

/// Why a graph can't be loaded or run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The device does not work here.
    #[error("{device} can't be used: {reason}")]
    Device {
        /// The device asked for.
        device: Device,
        /// What ONNX Runtime says of it.
        reason: String,
    },
    /// The graph's file can't be read, or is damaged.
    #[error("{} can't be loaded: {reason}", path.display())]
    Load {
        /// The graph's file, or the file of its weights.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The graph is not one that this server can feed.
    #[error("{} can't be served: {reason}", path.display())]
    Unsupported {
        /// The graph's file.
        path: PathBuf,
        /// What is unexpected, and the way out.
        reason: String,
    },
    /// The graph failed on a batch.
    #[error("ONNX Runtime failed: {0}")]
    Run(String),
}
