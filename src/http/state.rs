//! State shared by the handlers of all routes.

use crate::limits::Timeouts;
use crate::service::Service;
use crate::telemetry::metrics::Metrics;

#[derive(Clone)]
pub struct HttpState {
    pub service: Service,
    /// Metrics that count requests.
    pub metrics: Metrics,
    /// Default and maximum timeouts of requests.
    pub timeouts: Timeouts,
}
