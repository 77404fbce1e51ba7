//! GET /openapi.json, and GET /docs.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::Value;

use super::files::shown;
use crate::http::openapi::document;
use crate::http::state::HttpState;

const PAGE: &str = include_str!("page.html");

pub async fn openapi(State(http): State<HttpState>) -> Json<Value> {
    Json(document(&http.service.widest_limits(), &http.timeouts))
}

/// Links in the page are relative, so that it also works behind a path prefix. From `/docs/` they start one folder
/// lower.
pub async fn page(uri: Uri) -> Response {
    let page = if uri.path().ends_with('/') {
        let page = PAGE
            .replace("=\"docs/", "=\"")
            .replace("=\"openapi", "=\"../openapi");
        Cow::Owned(page.into_bytes())
    } else {
        Cow::Borrowed(PAGE.as_bytes())
    };
    shown("text/html; charset=utf-8", page)
}
