//! Middleware: refuses all but health checks on the connections that are reserved for them.

use axum::extract::Request;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::{Method, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::connections::HealthOnly;
use crate::error::ServiceError;

pub async fn health_only(request: Request, next: Next) -> Response {
    let is_reserved = request.extensions().get::<HealthOnly>().is_some();
    if !is_reserved || is_health(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let version = request.version();
    let mut response = ServiceError::TooManyConnections.into_response();
    // HTTP/2 has no such header.
    if version < Version::HTTP_2 {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether a request is a health check of the server.
pub fn is_health(method: &Method, path: &str) -> bool {
    let is_read = [Method::GET, Method::HEAD].contains(method);
    let path = path.strip_prefix("/v2").unwrap_or(path);
    is_read && (path == "/health" || path.starts_with("/health/"))
}
