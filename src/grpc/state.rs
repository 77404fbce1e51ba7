//! State shared by the methods of all services.

use crate::access::Guard;
use crate::browsers::AllowedHosts;
use crate::inflight::InflightBytes;
use crate::limits::Timeouts;
use crate::service::Service;
use crate::telemetry::metrics::Metrics;

#[derive(Clone)]
pub struct GrpcState {
    pub service: Service,
    pub guard: Guard,
    /// Metrics that count calls.
    pub metrics: Metrics,
    /// Default and maximum timeouts of requests.
    pub timeouts: Timeouts,
    /// What all requests may hold.
    pub inflight: InflightBytes,
    /// The hosts that calls may name.
    pub allowed_hosts: AllowedHosts,
}
