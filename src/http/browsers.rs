//! Middleware: what concerns browsers. Refuses hosts that are not the server's and pages of other sites, answers CORS
//! preflights, and says to all answers who may read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::health_only::is_health;
use super::respond::without_details;
use super::routes::Route;
use crate::browsers::{AllowedOrigins, BrowserPolicy, Provenance, named_hosts};
use crate::error::ServiceError;

/// Request headers that pages may set: those that the server reads.
const READ_HEADERS: &str = "authorization, content-encoding, content-type, inference-header-content-length, \
                            traceparent, x-request-id, x-request-priority, x-request-timeout-ms";

/// Response headers that pages may read, beside those that they always may.
const SHOWN_HEADERS: &str =
    "inference-header-content-length, retry-after, server-timing, www-authenticate, x-request-id";

/// How long a browser may remember a preflight's answer, in seconds. Chromium caps it at two hours.
const MAX_AGE: &str = "3600";

#[derive(Clone)]
pub struct Browsers {
    policy: Arc<BrowserPolicy>,
    /// The methods of each path, as a preflight's answer lists them.
    methods: Arc<BTreeMap<&'static str, String>>,
}

impl Browsers {
    pub fn new(policy: Arc<BrowserPolicy>, routes: &[Route]) -> Self {
        let mut methods = BTreeMap::<_, String>::new();
        for route in routes {
            let listed = methods.entry(route.path).or_default();
            if !listed.is_empty() {
                listed.push_str(", ");
            }
            listed.push_str(if route.method == Method::GET {
                "GET, HEAD"
            } else {
                route.method.as_str()
            });
        }
        Self {
            policy,
            methods: Arc::new(methods),
        }
    }

    fn allows_host(&self, request: &Request) -> bool {
        let named = named_hosts(request.uri(), request.headers());
        self.policy.allowed_hosts.allow(named)
    }

    fn check(&self, request: &Request, is_unknown_host: bool) -> Result<(), ServiceError> {
        let (uri, headers) = (request.uri(), request.headers());
        if is_unknown_host && !is_probe(request) {
            return Err(ServiceError::unknown_host(named_hosts(uri, headers).next()));
        }
        let provenance = Provenance {
            is_get: request.method() == Method::GET,
            host: named_hosts(uri, headers).next(),
            origin: text(headers, ORIGIN.as_str()),
            site: text(headers, "sec-fetch-site"),
            mode: text(headers, "sec-fetch-mode"),
            destination: text(headers, "sec-fetch-dest"),
        };
        if provenance.is_refused(&self.policy.cors_allow_origins) {
            return Err(ServiceError::CrossSite);
        }
        Ok(())
    }

    /// The answer to a preflight of a known path. `None` for other requests.
    fn preflight(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let path = request.extensions().get::<MatchedPath>()?.as_str();
        let path = path.strip_suffix('/').unwrap_or(path);
        let methods = self.methods.get(path)?.clone();
        let headers = [
            (ACCESS_CONTROL_ALLOW_METHODS, methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, READ_HEADERS.to_owned()),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE.to_owned()),
        ];
        Some((StatusCode::NO_CONTENT, headers).into_response())
    }

    /// Says who may read an answer to a page of this origin.
    fn share(&self, origin: Option<HeaderValue>, answer: &mut HeaderMap) {
        let allowed = match (&self.policy.cors_allow_origins, origin) {
            (AllowedOrigins::None, _) => return,
            (AllowedOrigins::Any, Some(_)) => Some(HeaderValue::from_static("*")),
            (origins @ AllowedOrigins::List(_), Some(origin)) => origin
                .to_str()
                .is_ok_and(|text| origins.allow(text))
                .then_some(origin),
            (_, None) => None,
        };
        // Also without an origin: what a cache keeps would otherwise be given to pages.
        answer.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = allowed {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let shown = HeaderValue::from_static(SHOWN_HEADERS);
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, shown);
        }
    }
}

pub async fn guard(State(browsers): State<Browsers>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let is_unknown_host = !browsers.allows_host(&request);
    let mut response = match browsers.check(&request, is_unknown_host) {
        Err(refusal) => refusal.into_response(),
        Ok(()) if browsers.policy.cors_allow_origins == AllowedOrigins::None => {
            next.run(request).await
        }
        Ok(()) => match browsers.preflight(&request) {
            Some(response) => response,
            None => next.run(request).await,
        },
    };
    if is_unknown_host {
        response = without_details(response);
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    browsers.share(origin, headers);
    response
}

/// Whether a request is a health check, which orchestrators send to an address instead of a name.
fn is_probe(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let route = route.strip_suffix('/').unwrap_or(route);
    let is_model = route.starts_with("/v2/models/") && route.ends_with("/ready");
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    is_health(request.method(), request.uri().path()) || (is_model && is_read)
}

/// A header's value. One that is not text is empty.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or_default())
}
