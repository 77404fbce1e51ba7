//! The table of routes.

use std::any::Any;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::{HttpState, health, metrics, models, observe, tasks};
use crate::error::ServiceError;

/// The routes as an error names them.
const ROUTES: &str = "POST /discriminate, /classify, /tag, /qa, /v2/repository/models/{name}/load, \
                      /v2/repository/models/{name}/unload; GET /models, /models/{name}, /health, /health/live, \
                      /health/ready, /metrics";

/// Every route there is.
pub fn router(state: HttpState) -> Router {
    Router::new()
        .route("/discriminate", post(tasks::discriminate))
        .route("/classify", post(tasks::classify))
        .route("/tag", post(tasks::tag))
        .route("/qa", post(tasks::qa))
        .route("/models", get(models::list))
        .route("/models/{name}", get(models::one))
        .route("/v2/repository/models/{name}/load", post(models::load))
        .route("/v2/repository/models/{name}/unload", post(models::unload))
        .route("/health", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(route_not_found)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

async fn route_not_found(uri: Uri) -> ServiceError {
    ServiceError::RouteNotFound {
        path: uri.path().to_owned(),
        routes: ROUTES,
    }
}

async fn method_not_allowed(method: Method, uri: Uri) -> ServiceError {
    ServiceError::MethodNotAllowed {
        path: uri.path().to_owned(),
        method: method.to_string(),
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the layer calls it with a box"
)]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    ServiceError::panicked(&*panic).into_response()
}
