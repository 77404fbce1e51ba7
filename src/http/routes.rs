//! The table of routes.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::handler::Handler;
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use super::state::HttpState;
use super::{docs, health, huggingface, metrics, models, oip, tasks};
use crate::access::{Door, Need};
use crate::error::ServiceError;
use crate::service::{ClassifyRequest, DiscriminateRequest, QaRequest, TagRequest};
use crate::suggest::nearest;
use crate::task::Task;

/// One method of one path.
pub struct Route {
    pub method: Method,
    /// Variable segments are in braces: `{name}`.
    pub path: &'static str,
    /// What it needs of who asks.
    pub need: Need,
    pub handler: MethodRouter<HttpState>,
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/discriminate",
            Need::Infer,
            tasks::answer::<DiscriminateRequest>,
        ),
        Route::post("/classify", Need::Infer, tasks::answer::<ClassifyRequest>),
        Route::post("/tag", Need::Infer, tasks::answer::<TagRequest>),
        Route::post("/qa", Need::Infer, tasks::answer::<QaRequest>),
        Route::get("/models", Need::Infer, models::list),
        Route::get("/models/{name}", Need::Infer, models::one),
        Route::post("/models/{name}", Need::Infer, huggingface::pipeline),
        Route::get("/models/{name}/health", Need::Infer, huggingface::health),
        Route::get("/models/{name}/info", Need::Infer, huggingface::info),
        Route::get("/v2", Need::Infer, oip::server),
        Route::get("/v2/health/live", Need::Nothing, oip::live),
        Route::get("/v2/health/ready", Need::Nothing, oip::ready),
        Route::get("/v2/models/stats", Need::Infer, oip::all_statistics),
        Route::get("/v2/models/{name}", Need::Infer, oip::model),
        Route::get("/v2/models/{name}/ready", Need::Nothing, oip::model_ready),
        Route::get("/v2/models/{name}/config", Need::Infer, oip::config),
        Route::get("/v2/models/{name}/stats", Need::Infer, oip::statistics),
        Route::post("/v2/models/{name}/infer", Need::Infer, oip::infer),
        Route::get(
            "/v2/models/{name}/versions/{version}",
            Need::Infer,
            oip::model,
        ),
        Route::get(
            "/v2/models/{name}/versions/{version}/ready",
            Need::Nothing,
            oip::model_ready,
        ),
        Route::get(
            "/v2/models/{name}/versions/{version}/config",
            Need::Infer,
            oip::config,
        ),
        Route::get(
            "/v2/models/{name}/versions/{version}/stats",
            Need::Infer,
            oip::statistics,
        ),
        Route::post(
            "/v2/models/{name}/versions/{version}/infer",
            Need::Infer,
            oip::infer,
        ),
        Route::post("/v2/repository/index", Need::Infer, oip::index),
        Route::post(
            "/v2/repository/models/{name}/load",
            Need::Control,
            oip::load,
        ),
        Route::post(
            "/v2/repository/models/{name}/unload",
            Need::Control,
            oip::unload,
        ),
        Route::get("/health", Need::Nothing, health::ready),
        Route::get("/health/live", Need::Nothing, health::live),
        Route::get("/health/ready", Need::Nothing, health::ready),
        Route::get("/metrics", Need::Metrics, metrics::metrics),
        Route::get("/openapi.json", Need::Infer, docs::openapi),
        Route::get("/docs", Need::Infer, docs::page),
        Route::get("/docs/{file}", Need::Infer, docs_file),
    ]
}

impl Route {
    /// Whether a door has this route. If administration is apart, it is at its own door alone. That door has health
    /// checks besides, and nothing else.
    pub fn is_at(&self, door: Door, is_administration_apart: bool) -> bool {
        match door {
            Door::Public => !(is_administration_apart && self.need.is_administration()),
            Door::Admin => self.need.is_administration() || self.need == Need::Nothing,
        }
    }

    fn get<T: 'static>(
        path: &'static str,
        need: Need,
        handler: impl Handler<T, HttpState>,
    ) -> Self {
        Self {
            method: Method::GET,
            path,
            need,
            handler: get(handler),
        }
    }

    fn post<T: 'static>(
        path: &'static str,
        need: Need,
        handler: impl Handler<T, HttpState>,
    ) -> Self {
        Self {
            method: Method::POST,
            path,
            need,
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
    file.unwrap_or_else(|| Err(not_found(&uri, |route| route.need == Need::Infer)))
}

/// The error of an unknown path. It suggests the nearest of the routes that are here.
pub fn not_found(uri: &Uri, is_here: impl Fn(&Route) -> bool) -> ServiceError {
    let path = uri.path();
    let routes: Vec<Route> = routes().into_iter().filter(is_here).collect();
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
