//! What the handlers of all routes need.

use crate::limits::Timeouts;
use crate::service::Service;
use crate::telemetry::metrics::Metrics;

/// What the routes need.
#[derive(Clone)]
pub struct HttpState {
    /// The operations.
    pub service: Service,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// How long a request may take.
    pub timeouts: Timeouts,
}
