//! Serves gRPC on a listener.

use std::future::Future;

use tokio::net::TcpListener;

use super::observe;
use super::state::GrpcState;
use crate::connections::{self, Connections, Protocol};

/// Serves until `stop` completes. Returns once all accepted calls are answered.
pub async fn serve(
    listener: TcpListener,
    connections: Connections,
    state: GrpcState,
    stop: impl Future<Output = ()> + Send,
) {
    let service = observe::observed(state);
    connections::serve(listener, Protocol::Http2, connections, service, stop).await;
}
