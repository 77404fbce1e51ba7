//! Request headers -> what a request brings beside its body.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::Instant;

use crate::batch::Priority;
use crate::config::Timeouts;
use crate::error::{ServiceError, seconds};
use crate::service::RequestContext;

const TIMEOUT: &str = "x-request-timeout-ms";
const PRIORITY: &str = "x-request-priority";

/// The context of a request that arrived at `now`.
pub fn request_context(
    headers: &HeaderMap,
    timeouts: &Timeouts,
    now: Instant,
) -> Result<RequestContext, ServiceError> {
    Ok(RequestContext {
        priority: priority(headers)?,
        deadline: now + timeout(headers, timeouts)?,
    })
}

fn timeout(headers: &HeaderMap, timeouts: &Timeouts) -> Result<Duration, ServiceError> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(timeouts.request);
    };
    let most = timeouts.max_request;
    let asked = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_millis);
    asked
        .filter(|asked| !asked.is_zero() && *asked <= most)
        .ok_or_else(|| ServiceError::InvalidHeader {
            header: TIMEOUT,
            reason: format!(
                "it must be a whole number of milliseconds from 1 to {}",
                most.as_millis()
            ),
        })
}

fn priority(headers: &HeaderMap) -> Result<Priority, ServiceError> {
    let Some(value) = headers.get(PRIORITY) else {
        return Ok(Priority::default());
    };
    let asked = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse::<u8>().ok());
    asked
        .and_then(|asked| Priority::try_from(asked).ok())
        .ok_or_else(|| ServiceError::InvalidHeader {
            header: PRIORITY,
            reason: "it must be 1 (highest), 2, 3, 4 or 5".to_owned(),
        })
}

/// The Retry-After header's value for a wait.
pub fn retry_after(wait: Duration) -> String {
    seconds(wait).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(header: &'static str, value: &[u8]) -> Result<RequestContext, ServiceError> {
        let mut headers = HeaderMap::new();
        headers.insert(header, axum::http::HeaderValue::from_bytes(value).unwrap());
        request_context(&headers, &Timeouts::default(), Instant::now())
    }

    #[test]
    fn headers_are_taken_or_refused_by_name() {
        let context_of =
            request_context(&HeaderMap::new(), &Timeouts::default(), Instant::now()).unwrap();
        assert_eq!(context_of.priority.get(), 3);
        assert_eq!(context(PRIORITY, b"1").unwrap().priority.get(), 1);
        assert!(context(TIMEOUT, b"300000").is_ok());
        for (header, value) in [
            (PRIORITY, "0"),
            (PRIORITY, "6"),
            (PRIORITY, "high"),
            (TIMEOUT, "0"),
            (TIMEOUT, "-5"),
            (TIMEOUT, "1.5"),
            (TIMEOUT, "300001"),
            (TIMEOUT, "99999999999999999999999"),
            (TIMEOUT, "\u{fe}"),
        ] {
            let error = context(header, value.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "invalid_header");
            assert!(error.to_string().contains(header), "{error}");
        }
    }
}
