//! The table of routes.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::handler::Handler;
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use super::state::HttpState;
use super::{docs, health, huggingface, metrics, models, oip, tasks};
use crate::error::ServiceError;
use crate::service::{ClassifyRequest, DiscriminateRequest, QaRequest, TagRequest};
use crate::suggest::nearest;
use crate::task::Task;

/// One method of one path.
pub struct Route {
    pub method: Method,
    /// Variable segments are in braces: `{name}`.
    pub path: &'static str,
    pub handler: MethodRouter<HttpState>,
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/discriminate", tasks::answer::<DiscriminateRequest>),
        Route::post("/classify", tasks::answer::<ClassifyRequest>),
        Route::post("/tag", tasks::answer::<TagRequest>),
        Route::post("/qa", tasks::answer::<QaRequest>),
        Route::get("/models", models::list),
        Route::get("/models/{name}", models::one),
        Route::post("/models/{name}", huggingface::pipeline),
        Route::get("/models/{name}/health", huggingface::health),
        Route::get("/models/{name}/info", huggingface::info),
        Route::get("/v2", oip::server),
        Route::get("/v2/health/live", oip::live),
        Route::get("/v2/health/ready", oip::ready),
        Route::get("/v2/models/stats", oip::all_statistics),
        Route::get("/v2/models/{name}", oip::model),
        Route::get("/v2/models/{name}/ready", oip::model_ready),
        Route::get("/v2/models/{name}/config", oip::config),
        Route::get("/v2/models/{name}/stats", oip::statistics),
        Route::post("/v2/models/{name}/infer", oip::infer),
        Route::get("/v2/models/{name}/versions/{version}", oip::model),
        Route::get(
            "/v2/models/{name}/versions/{version}/ready",
            oip::model_ready,
        ),
        Route::get("/v2/models/{name}/versions/{version}/config", oip::config),
        Route::get(
            "/v2/models/{name}/versions/{version}/stats",
            oip::statistics,
        ),
        Route::post("/v2/models/{name}/versions/{version}/infer", oip::infer),
        Route::post("/v2/repository/index", oip::index),
        Route::post("/v2/repository/models/{name}/load", oip::load),
        Route::post("/v2/repository/models/{name}/unload", oip::unload),
        Route::get("/health", health::ready),
        Route::get("/health/live", health::live),
        Route::get("/health/ready", health::ready),
        Route::get("/metrics", metrics::metrics),
        Route::get("/openapi.json", docs::openapi),
        Route::get("/docs", docs::page),
        Route::get("/docs/{file}", docs_file),
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

/// The routes of one task, as metrics label them.
pub fn task_routes(task: Task) -> impl Iterator<Item = String> {
    std::iter::once(format!("/{task}"))
}

/// Serves a file of the page at `/docs`. Other names there are unknown routes.
async fn docs_file(
    uri: Uri,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ServiceError> {
    let file = name.ok().and_then(|Path(name)| docs::file(&name));
    file.unwrap_or_else(|| Err(not_found(&uri)))
}

/// The error of an unknown path. It suggests the nearest route.
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
