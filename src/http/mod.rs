//! HTTP: thin adapters between axum and the service. The router is the table of what there is.

mod context;
mod health;
mod metrics;
mod models;
mod observe;
mod posted;
mod respond;
mod router;
mod tasks;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

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

/// Serves until `stop` is done; then accepts no more connections, and returns when those that are open are answered.
///
/// # Errors
/// What the system says of the listening socket.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Answers are written at once: waiting for more to send only delays them.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    axum::serve(listener, router::router(state))
        .with_graceful_shutdown(stop)
        .await
}
