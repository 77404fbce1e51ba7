//! Middleware for every request: request id, log span and metrics.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::HttpState;
use super::respond::ServedBy;
use crate::telemetry::request::{
    REQUEST_ID, RequestRecorder, TRACE_PARENT, UNMATCHED, request_id, span,
};

/// Runs a request in its span and counts it.
pub async fn observe(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let route = route.strip_suffix('/').unwrap_or(route);
    let headers = request.headers();
    let id = request_id(text(headers, REQUEST_ID));
    let method = request.method();
    let span = span(method.as_str(), route, &id, text(headers, TRACE_PARENT));
    let is_task = method == Method::POST;
    let mut recorder = RequestRecorder::new(state.metrics.clone(), route.to_owned());
    let mut response = next.run(request).instrument(span.clone()).await;

    let model = response
        .extensions_mut()
        .remove::<ServedBy>()
        .map(|ServedBy(model)| model);
    let model = model.as_deref().unwrap_or_default();
    let status = response.status().as_u16();
    span.in_scope(|| recorder.finish(model, status, is_task));
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
