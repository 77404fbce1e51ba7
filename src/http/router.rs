//! Joins all routes and the middleware into one service.

use std::any::Any;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::routes::{not_found, routes};
use super::state::HttpState;
use super::{compression, health_only, observe};
use crate::error::ServiceError;

/// Every route, with and without a trailing slash, and the fallbacks for unknown paths and methods.
pub fn router(state: HttpState) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, route| {
            router
                .route(&format!("{}/", route.path), route.handler.clone())
                .route(route.path, route.handler)
        })
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(async |uri: Uri| not_found(&uri))
        .layer(compression::of_answers())
        .layer(compression::of_requests())
        .layer(map_request(compression::mark))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(health_only::health_only))
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
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
