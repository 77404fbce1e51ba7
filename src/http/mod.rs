//! HTTP: thin adapters between axum and the service. The router is the table of what there is.

mod context;
mod docs;
mod health;
mod metrics;
mod models;
mod observe;
mod openapi;
mod posted;
mod respond;
mod router;
mod serve;
mod tasks;

#[cfg(test)]
mod tests;

pub use serve::serve;

use crate::config::Timeouts;
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
