//! State shared by the handlers of all routes.

use crate::access::Guard;
use crate::executor::Executor;
use crate::inflight::InflightBytes;
use crate::limits::Timeouts;
use crate::service::Service;
use crate::telemetry::metrics::Metrics;

#[derive(Clone)]
pub struct HttpState {
    pub service: Service,
    /// Who may do what.
    pub guard: Guard,
    /// Metrics that count requests.
    pub metrics: Metrics,
    /// Default and maximum timeouts of requests.
    pub timeouts: Timeouts,
    /// What all requests may hold.
    pub inflight: InflightBytes,
    /// Writes the metrics, for one request at a time.
    pub(super) scrapes: Executor,
}

impl HttpState {
    #[must_use]
    pub fn new(
        service: Service,
        guard: Guard,
        metrics: Metrics,
        timeouts: Timeouts,
        inflight: InflightBytes,
    ) -> Self {
        Self {
            service,
            guard,
            metrics,
            timeouts,
            inflight,
            scrapes: Executor::new(1),
        }
    }
}
