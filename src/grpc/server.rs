//! Serves gRPC on a listener.

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::observe;
use super::state::GrpcState;
use crate::connections::{self, Connections, Protocol};
use crate::stage::Stage;

/// Serves until the server closes. Returns once all accepted calls are answered.
pub async fn serve(
    listener: TcpListener,
    connections: Connections,
    state: GrpcState,
    stages: watch::Receiver<Stage>,
) {
    let service = observe::observed(state);
    connections::serve(listener, Protocol::Http2, connections, service, stages).await;
}
