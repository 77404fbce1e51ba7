//! GET /openapi.json, and /docs, the page to read and try it: Swagger UI, with nothing loaded from elsewhere.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa_swagger_ui::Config;

use super::openapi::document;
use super::{HttpState, router};
use crate::error::ServiceError;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");

/// Swagger UI's own files, which the library holds compressed.
const SWAGGER_UI: &[(&str, &str)] = &[
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
];
const OUR_SCRIPT: &str = "page.js";

/// Swagger UI writes style attributes, and shows icons that are data URLs; scripts come from this server alone, and talk
/// to it alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// GET /openapi.json.
pub async fn openapi(State(http): State<HttpState>) -> Json<Value> {
    Json(document(&http.service.widest_limits(), &http.timeouts))
}

/// GET /docs. Links are relative, so that the page works below a prefix too: those of `/docs/` begin one folder lower.
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

/// GET /docs/{file}.
pub async fn file(
    uri: Uri,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, ServiceError> {
    let name = name.map_or_else(|_| String::new(), |Path(name)| name);
    if name == OUR_SCRIPT {
        return Ok(shown("text/javascript; charset=utf-8", SCRIPT.as_bytes()));
    }
    let Some((name, media_type)) = SWAGGER_UI.iter().find(|(known, _)| *known == name) else {
        return Err(router::not_found(&uri));
    };
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default()))
        .map_err(ServiceError::internal)?
        .ok_or_else(|| ServiceError::internal(format!("Swagger UI has no {name}")))?;
    let mut response = shown(media_type, file.bytes);
    if file.gzpipped {
        // Whatever the request accepts: every browser takes it, and nobody else wants these files.
        let headers = response.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// The names of the files that the page loads.
pub fn file_names() -> Vec<&'static str> {
    let names = SWAGGER_UI.iter().map(|(name, _)| *name);
    names.chain([OUR_SCRIPT]).collect()
}

fn shown(media_type: &'static str, content: impl Into<Cow<'static, [u8]>>) -> Response {
    let headers: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, content.into()).into_response()
}
