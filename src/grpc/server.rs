//! Serves gRPC on a listener.

use std::future::Future;

use tokio::net::TcpListener;

use super::observe;
use super::state::GrpcState;
use crate::connections::{self, Protocol};

/// Serves until `stop` completes. Returns once all accepted calls are answered.
pub async fn serve(listener: TcpListener, state: GrpcState, stop: impl Future<Output = ()> + Send) {
    connections::serve(listener, Protocol::Http2, observe::observed(state), stop).await;
}
