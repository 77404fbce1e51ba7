//! The validated configuration.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::access::AccessOptions;
use crate::batch::PriorityAccess;
use crate::browsers::BrowserPolicy;
use crate::connections::ConnectionOptions;
use crate::engine::Device;
use crate::export::PrecisionChoice;
use crate::hub::Origin;
use crate::limits::{Limits, Timeouts};
use crate::telemetry::tracing::LogOptions;
use crate::tls::TlsFiles;

/// The validated configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The model repository.
    pub models: PathBuf,
    /// Models to add to the repository before serving it.
    pub model: Vec<Origin>,
    /// The address to listen on for HTTP, `HOST:PORT`.
    pub http: String,
    /// The address to listen on for gRPC, `HOST:PORT`. `None` if gRPC is off.
    pub grpc: Option<String>,
    /// The address of the listener for administration. `None` if it has none of its own.
    pub admin_http: Option<String>,
    pub device: Device,
    /// The ONNX Runtime library. Searched for if `None`.
    pub onnxruntime_library: Option<PathBuf>,
    /// Threads that run models.
    pub workers: NonZeroUsize,
    /// The most sequences that may wait for one model.
    pub queue_capacity: NonZeroUsize,
    /// How long a request may be expected to wait before it runs.
    pub max_queue: Duration,
    /// The token budget of a batch. Measured per model if `None`.
    pub batch_tokens: Option<NonZeroUsize>,
    /// The precision that checkpoints are exported to.
    pub precision: PrecisionChoice,
    /// The time between polls of the model repository. `None` for no polling.
    pub watch_interval: Option<Duration>,
    /// A load that takes longer fails.
    pub load_timeout: Duration,
    pub limits: Limits,
    /// The most bytes that all requests may hold together.
    pub max_inflight_bytes: NonZeroUsize,
    pub timeouts: Timeouts,
    /// Who may set a request's priority.
    pub priorities: PriorityAccess,
    pub connections: ConnectionOptions,
    pub access: AccessOptions,
    /// `None` if connections are not encrypted.
    pub tls: Option<TlsFiles>,
    /// The hosts and origins that requests may name.
    pub browsers: BrowserPolicy,
    pub log: LogOptions,
}

impl Config {
    /// The same for a process that only this user can reach, which needs no keys and no TLS.
    #[must_use]
    pub fn unguarded(self) -> Self {
        Self {
            access: AccessOptions::default(),
            tls: None,
            ..self
        }
    }
}
