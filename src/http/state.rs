//! State shared by the handlers of all routes.

use std::sync::Arc;

use crate::access::Guard;
use crate::browsers::BrowserPolicy;
use crate::executor::Executor;
use crate::inflight::InflightBytes;
use crate::limits::Timeouts;
use crate::service::Service;
use crate::telemetry::metrics::Metrics;

/// Unsent answers to GET may hold this part of `max_inflight_bytes` more.
const UNSENT_PART: usize = 8;

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
    /// The hosts and origins that requests may name.
    pub(super) browsers: Arc<BrowserPolicy>,
    /// What unsent answers to GET may hold, apart from all else, so that metrics can be read when that is full.
    pub(super) unsent: InflightBytes,
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
            unsent: InflightBytes::new(inflight.capacity() / UNSENT_PART),
            inflight,
            browsers: Arc::default(),
            scrapes: Executor::new(1),
        }
    }

    /// The same with these hosts and origins. By default, any host and no origin of another site.
    #[must_use]
    pub fn with_browsers(self, policy: BrowserPolicy) -> Self {
        Self {
            browsers: Arc::new(policy),
            ..self
        }
    }
}
