//! Reads a request's context from its headers.

use axum::http::HeaderMap;
use tokio::time::Instant;

use crate::error::ServiceError;
use crate::limits::Timeouts;
use crate::service::{RequestContext, context};

/// The context of a request that arrived at `now`.
pub fn request_context(
    headers: &HeaderMap,
    timeouts: &Timeouts,
    now: Instant,
) -> Result<RequestContext, ServiceError> {
    let priority = context::priority(text(headers, context::PRIORITY))?;
    match text(headers, context::TIMEOUT) {
        Some(asked) => {
            let timeout = context::timeout(asked, timeouts)?;
            Ok(RequestContext::new(priority, now + timeout))
        }
        None => Ok(RequestContext::with_default_timeout(
            priority, now, timeouts,
        )),
    }
}

/// A header's value. A value that is not text becomes U+FFFD, so that it is refused like any other invalid value.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or("\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn headers_are_taken_or_refused_by_name() {
        let now = Instant::now();
        let context = |header: &'static str, value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(header, axum::http::HeaderValue::from_bytes(value).unwrap());
            request_context(&headers, &Timeouts::default(), now)
        };
        assert_eq!(
            context("x-request-priority", b"1").unwrap().priority.get(),
            1
        );
        let hurried = context("x-request-timeout-ms", b"250").unwrap();
        assert_eq!(hurried.deadline, now + Duration::from_millis(250));
        assert_eq!(hurried.latest, hurried.deadline);
        let usual = context("x-other", b"").unwrap();
        assert_eq!(usual.deadline, now + Timeouts::default().request);
        assert_eq!(usual.latest, now + Timeouts::default().max_request);
        for header in ["x-request-priority", "x-request-timeout-ms"] {
            let error = context(header, b"\xfe").unwrap_err();
            assert_eq!(error.code(), "invalid_header");
            assert!(error.to_string().contains(header), "{error}");
        }
    }
}
