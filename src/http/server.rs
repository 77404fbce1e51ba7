//! Serves HTTP on a listener.

use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

use super::state::HttpState;
use super::{hub_names, router};
use crate::access::Door;
use crate::connections::{self, Connections, Protocol};
use crate::stage::Stage;

/// Serves the routes of a door until the server closes. Returns once all accepted requests are answered.
pub async fn serve(
    listener: TcpListener,
    connections: Connections,
    state: HttpState,
    door: Door,
    stages: watch::Receiver<Stage>,
) {
    let routes = router::router(state.clone(), door);
    let service = routes.map_request(move |request| hub_names::joined(&state, request));
    connections::serve(listener, Protocol::Any, connections, service, stages).await;
}
