//! The configuration, resolved and checked.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Device;
use crate::export::PrecisionChoice;
use crate::hub::Origin;
use crate::limits::{Limits, Timeouts};
use crate::telemetry::tracing::LogOptions;

/// The configuration, resolved and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The model repository.
    pub models: PathBuf,
    /// Models to put into the repository before it is served.
    pub model: Vec<Origin>,
    /// Where to listen for HTTP, `HOST:PORT`.
    pub http: String,
    /// Where to listen for gRPC, `HOST:PORT`, if at all.
    pub grpc: Option<String>,
    /// What computes.
    pub device: Device,
    /// The ONNX Runtime library, where it was named.
    pub onnxruntime_library: Option<PathBuf>,
    /// Threads that run models.
    pub workers: NonZeroUsize,
    /// Sequences that may wait for one model.
    pub queue_capacity: NonZeroUsize,
    /// Token budget of a batch; measured for each model where none is given.
    pub batch_tokens: Option<NonZeroUsize>,
    /// What checkpoints are exported to.
    pub precision: PrecisionChoice,
    /// How often the model repository is looked through for changes, if at all.
    pub watch_interval: Option<Duration>,
    /// What one request may hold.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What is logged and how.
    pub log: LogOptions,
}
