//! Serves HTTP on a listener.

use std::future::Future;

use tokio::net::TcpListener;
use tower::ServiceExt;

use super::state::HttpState;
use super::{hub_names, router};
use crate::connections::{self, Connections, Protocol};

/// Serves until `stop` completes. Returns once all accepted requests are answered.
pub async fn serve(
    listener: TcpListener,
    connections: Connections,
    state: HttpState,
    stop: impl Future<Output = ()> + Send,
) {
    let routes = router::router(state.clone());
    let service = routes.map_request(move |request| hub_names::joined(&state, request));
    connections::serve(listener, Protocol::Any, connections, service, stop).await;
}
