//! HTTP: thin adapters between axum and the service. The router is the table of what there is.

mod compression;
mod context;
mod docs;
mod health;
mod hub_names;
mod inference;
mod metrics;
mod models;
mod observe;
mod openapi;
mod pipelines;
mod posted;
mod respond;
mod router;
mod tasks;

#[cfg(test)]
mod tests;

use std::future::Future;

use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::config::Timeouts;
use crate::connections::{self, Protocol};
use crate::service::Service;
use crate::task::Task;
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

/// The routes that are a task's own, as the metrics name them.
pub fn task_routes(task: Task) -> impl Iterator<Item = String> {
    std::iter::once(format!("/{task}"))
}

/// Serves until `stop` is done, and returns when what was accepted is answered.
pub async fn serve(listener: TcpListener, state: HttpState, stop: impl Future<Output = ()> + Send) {
    let routes = router::router(state.clone());
    let service = routes.map_request(move |request| hub_names::joined(&state, request));
    connections::serve(listener, Protocol::Any, service, stop).await;
}
