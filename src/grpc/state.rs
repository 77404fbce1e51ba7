//! What the methods of all services need.

use crate::limits::Timeouts;
use crate::service::Service;
use crate::telemetry::metrics::Metrics;

/// What the methods need.
#[derive(Clone)]
pub struct GrpcState {
    /// The operations.
    pub service: Service,
    /// Where calls are counted.
    pub metrics: Metrics,
    /// How long a request may take.
    pub timeouts: Timeouts,
}
