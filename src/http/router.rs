//! The table of routes.

use std::any::Any;

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    HttpState, compression, docs, health, inference, metrics, models, observe, pipelines, tasks,
};
use crate::error::ServiceError;
use crate::suggest::nearest;

/// One method of one path, and who answers it.
pub struct Route {
    /// The method.
    pub method: Method,
    /// With `{name}` for what varies.
    pub path: &'static str,
    handler: MethodRouter<HttpState>,
}

/// Every route there is.
pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/discriminate", tasks::discriminate),
        Route::post("/classify", tasks::classify),
        Route::post("/tag", tasks::tag),
        Route::post("/qa", tasks::qa),
        Route::get("/models", models::list),
        Route::get("/models/{name}", models::one),
        Route::post("/models/{name}", pipelines::pipeline),
        Route::get("/models/{name}/health", pipelines::health),
        Route::get("/models/{name}/info", pipelines::info),
        Route::get("/v2", inference::server),
        Route::get("/v2/health/live", inference::live),
        Route::get("/v2/health/ready", inference::ready),
        Route::get("/v2/models/stats", inference::all_statistics),
        Route::get("/v2/models/{name}", inference::model),
        Route::get("/v2/models/{name}/ready", inference::model_ready),
        Route::get("/v2/models/{name}/config", inference::config),
        Route::get("/v2/models/{name}/stats", inference::statistics),
        Route::post("/v2/models/{name}/infer", inference::infer),
        Route::get("/v2/models/{name}/versions/{version}", inference::model),
        Route::get(
            "/v2/models/{name}/versions/{version}/ready",
            inference::model_ready,
        ),
        Route::get(
            "/v2/models/{name}/versions/{version}/config",
            inference::config,
        ),
        Route::get(
            "/v2/models/{name}/versions/{version}/stats",
            inference::statistics,
        ),
        Route::post(
            "/v2/models/{name}/versions/{version}/infer",
            inference::infer,
        ),
        Route::post("/v2/repository/index", inference::index),
        Route::post("/v2/repository/models/{name}/load", inference::load),
        Route::post("/v2/repository/models/{name}/unload", inference::unload),
        Route::get("/health", health::ready),
        Route::get("/health/live", health::live),
        Route::get("/health/ready", health::ready),
        Route::get("/metrics", metrics::metrics),
        Route::get("/openapi.json", docs::openapi),
        Route::get("/docs", docs::page),
        Route::get("/docs/{file}", docs::file),
    ]
}

impl Route {
    fn get<T: 'static>(path: &'static str, handler: impl Handler<T, HttpState>) -> Self {
        Self {
            method: Method::GET,
            path,
            handler: get(handler),
        }
    }

    fn post<T: 'static>(path: &'static str, handler: impl Handler<T, HttpState>) -> Self {
        Self {
            method: Method::POST,
            path,
            handler: post(handler),
        }
    }
}

/// All routes, each with and without a slash at its end, and what is answered where there is none.
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
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

/// The error of a path that there is no route for.
pub fn not_found(uri: &Uri) -> ServiceError {
    let path = uri.path();
    let routes = routes();
    let near = nearest(path, routes.iter().map(|route| route.path))
        .and_then(|near| routes.iter().find(|route| route.path == near));
    let hint = match near {
        Some(route) => format!("Did you mean {} {}?", route.method, route.path),
        None => "GET /openapi.json describes all routes, and GET /docs shows them.".to_owned(),
    };
    ServiceError::RouteNotFound {
        path: path.to_owned(),
        hint,
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
