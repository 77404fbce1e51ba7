//! What every request leaves behind: its id, its span in the log, its place in the metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span, field};

use super::HttpState;
use super::respond::ServedBy;
use crate::telemetry::metrics::Metrics;

const REQUEST_ID: &str = "x-request-id";
/// The label of requests to routes that do not exist: one, whatever their paths.
const UNMATCHED: &str = "unmatched";
/// What is counted where the client goes before its answer is there; nginx's number for it.
const CLIENT_GONE: u16 = 499;

/// Runs a request in its span and counts it.
pub async fn observe(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let id = request_id(request.headers());
    let span = span(&request, route, &id);
    let is_task = request.method() == Method::POST;
    let mut tally = Tally::new(&state.metrics, route);
    let mut response = next.run(request).instrument(span.clone()).await;

    let model = response
        .extensions_mut()
        .remove::<ServedBy>()
        .map(|ServedBy(model)| model);
    let model = model.as_deref().unwrap_or_default();
    let status = response.status().as_u16();
    let microseconds = tally.started.elapsed().as_micros();
    tally.finish(model, status);
    span.in_scope(|| match status {
        500.. if is_task => tracing::warn!(status, model, microseconds, "request failed"),
        // The metrics count these; under load a line each would drown what matters.
        _ => tracing::debug!(status, model, microseconds, "request answered"),
    });
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn span(request: &Request, route: &str, id: &str) -> Span {
    let span = tracing::info_span!(
        "request",
        method = %request.method(),
        route,
        request_id = id,
        trace_id = field::Empty,
        parent_id = field::Empty,
    );
    let header = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    if let Some((trace, parent)) = header.and_then(trace_parent) {
        span.record("trace_id", trace).record("parent_id", parent);
    }
    span
}

/// The client's id if it is printable and of reasonable length, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sent = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    match sent {
        // `to_str` takes printable ASCII, and tabs.
        Some(id) if (1..=128).contains(&id.len()) && !id.contains('\t') => id.to_owned(),
        _ => uuid::Uuid::new_v4().to_string(),
    }
}

/// Trace id and parent id of a `traceparent` header (W3C Trace Context, level 1): `00-<32 hex>-<16 hex>-<2 hex>`. Of
/// later versions, which may append fields, the same four are read. None where it is malformed, which is ignored.
fn trace_parent(header: &str) -> Option<(&str, &str)> {
    let mut fields = header.trim().split('-');
    let (version, trace, parent, flags) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let hex = |field: &str, length: usize| {
        field.len() == length
            && field
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let nonzero = |field: &str| field.bytes().any(|byte| byte != b'0');
    let well_formed = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let known = version != "ff" && (version != "00" || fields.next().is_none());
    (well_formed && known && nonzero(trace) && nonzero(parent)).then_some((trace, parent))
}

/// Counts a request once: when it is answered, or when it is dropped because its client has gone.
struct Tally<'a> {
    metrics: &'a Metrics,
    route: &'a str,
    started: Instant,
    counted: bool,
}

impl<'a> Tally<'a> {
    fn new(metrics: &'a Metrics, route: &'a str) -> Self {
        Self {
            metrics,
            route,
            started: Instant::now(),
            counted: false,
        }
    }

    fn finish(&mut self, model: &str, status: u16) {
        self.counted = true;
        self.metrics
            .request_finished(self.route, model, status, self.started.elapsed());
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        if !self.counted {
            self.finish("", CLIENT_GONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_taken_if_printable() {
        let id = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
            request_id(&headers)
        };
        assert_eq!(id(b"abc-1"), "abc-1");
        let long = "x".repeat(129);
        for refused in ["", "tab\there", "umlaut \u{fc}", &long] {
            assert_ne!(id(refused.as_bytes()), refused);
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn trace_parents_are_read_or_ignored() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = "b7ad6b7169203331";
        let zero_trace = "0".repeat(32);
        for (header, read) in [
            (format!("00-{trace}-{parent}-01"), true),
            (format!("01-{trace}-{parent}-01-more"), true),
            (format!("00-{trace}-{parent}-01-more"), false),
            (format!("ff-{trace}-{parent}-01"), false),
            (format!("00-{}-{parent}-01", trace.to_uppercase()), false),
            (format!("00-{zero_trace}-{parent}-01"), false),
            (format!("00-{parent}-{trace}-01"), false),
            (format!("00-{trace}-{parent}"), false),
            (String::new(), false),
        ] {
            assert_eq!(
                trace_parent(&header),
                read.then_some((trace, parent)),
                "{header}"
            );
        }
    }
}
