//! GET /openapi.json, and GET /docs.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, Uri};
use axum::response::Response;

use super::files::shown;
use crate::http::openapi::WrittenDocument;
use crate::http::state::HttpState;

const PAGE: &str = include_str!("page.html");

static DOCUMENT: WrittenDocument = WrittenDocument::new();

pub async fn openapi(State(http): State<HttpState>) -> ([(HeaderName, &'static str); 1], Bytes) {
    let limits = http.service.widest_limits();
    let text = DOCUMENT.text(limits, http.timeouts);
    ([(CONTENT_TYPE, "application/json")], text)
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
