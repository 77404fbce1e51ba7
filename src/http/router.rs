//! Joins all routes and the middleware into one service.

use std::any::Any;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tower_http::catch_panic::CatchPanicLayer;

use super::browsers::{self, Browsers};
use super::guard::{Gate, admit, hide_details};
use super::routes::{Route, not_found, routes};
use super::state::HttpState;
use super::{compression, health_only, observe, unsent};
use crate::access::{Door, Guard, Need};
use crate::error::ServiceError;

/// Every route of a door, with and without a trailing slash, and the fallbacks for unknown paths and methods.
pub fn router(state: HttpState, door: Door) -> Router {
    let is_administration_apart = state.guard.is_administration_apart();
    let is_here = move |route: &Route| route.is_at(door, is_administration_apart);
    let routes = routes();
    let browsers = Browsers::new(state.browsers.clone(), &routes);
    routes
        .into_iter()
        .filter(is_here)
        .fold(Router::new(), |router, route| {
            let handler = guarded(route.handler, route.need, door, &state.guard);
            router
                .route(&format!("{}/", route.path), handler.clone())
                .route(route.path, handler)
        })
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(async move |uri: Uri| not_found(&uri, is_here))
        .layer(compression::of_answers())
        .layer(compression::of_requests())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.unsent.clone(), unsent::weigh))
        .layer(from_fn(health_only::health_only))
        .layer(from_fn_with_state(browsers, browsers::guard))
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

fn guarded(
    handler: MethodRouter<HttpState>,
    need: Need,
    door: Door,
    guard: &Guard,
) -> MethodRouter<HttpState> {
    if need == Need::Nothing {
        return if guard.has_keys() {
            handler.route_layer(from_fn_with_state(guard.clone(), hide_details))
        } else {
            handler
        };
    }
    let gate = Gate {
        guard: guard.clone(),
        door,
        need,
    };
    handler.route_layer(from_fn_with_state(gate, admit))
}

async fn method_not_allowed(method: Method, uri: Uri) -> ServiceError {
    ServiceError::MethodNotAllowed {
        path: uri.path().to_owned(),
        method: method.to_string(),
    }
}

pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    ServiceError::panicked().into_response()
}
