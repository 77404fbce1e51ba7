//! Files that the page at `/docs` loads.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::Config;

use crate::error::ServiceError;

const SCRIPT: &str = include_str!("page.js");

/// Swagger UI's own files. The crate stores them compressed.
const SWAGGER_UI: &[(&str, &str)] = &[
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
];
const OUR_SCRIPT: &str = "page.js";

/// Swagger UI writes style attributes and shows icons that are data URLs. Scripts load only from this server, and
/// connect only to it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Finds a file by its name. `None` if the page loads no such file.
pub fn file(name: &str) -> Option<Result<Response, ServiceError>> {
    if name == OUR_SCRIPT {
        return Some(Ok(shown(
            "text/javascript; charset=utf-8",
            SCRIPT.as_bytes(),
        )));
    }
    let (name, media_type) = SWAGGER_UI.iter().find(|(known, _)| *known == name)?;
    Some(swagger_ui(name, media_type))
}

fn swagger_ui(name: &str, media_type: &'static str) -> Result<Response, ServiceError> {
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default()))
        .map_err(ServiceError::internal)?
        .ok_or_else(|| ServiceError::internal(format!("Swagger UI has no {name}")))?;
    let mut response = shown(media_type, file.bytes);
    if file.gzpipped {
        // Compressed whatever the request accepts: every browser accepts gzip, and only browsers load these files.
        let headers = response.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

pub fn file_names() -> Vec<&'static str> {
    let names = SWAGGER_UI.iter().map(|(name, _)| *name);
    names.chain([OUR_SCRIPT]).collect()
}

/// A response for the page. Its policy forbids loading anything from other servers.
pub fn shown(media_type: &'static str, content: impl Into<Cow<'static, [u8]>>) -> Response {
    let headers: [(HeaderName, &'static str); 3] = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, content.into()).into_response()
}
