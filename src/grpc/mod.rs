//! gRPC: thin adapters between tonic and the service. `methods.rs` is the table of what there is.

mod call;
pub mod client;
mod electra;
mod health;
mod inference;
mod methods;
mod observe;
pub mod proto;
mod reflection;
mod status;
mod stream;

#[cfg(test)]
mod tests;

use std::future::Future;

use tokio::net::TcpListener;

use crate::config::Timeouts;
use crate::connections::{self, Protocol};
use crate::service::Service;
use crate::task::Task;
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

/// The methods of a task, as the metrics name them.
pub fn task_routes(task: Task) -> impl Iterator<Item = String> {
    methods::of_task(task).into_iter().map(str::to_owned)
}

/// Serves until `stop` is done, and returns when what was accepted is answered.
pub async fn serve(listener: TcpListener, state: GrpcState, stop: impl Future<Output = ()> + Send) {
    connections::serve(listener, Protocol::Http2, observe::observed(state), stop).await;
}
