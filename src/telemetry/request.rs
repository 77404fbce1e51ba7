//! Telemetry of each request, for all transports: its id, its log span, and its metrics.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Instant;

use tracing::{Span, field};

use super::metrics::Metrics;
use super::once_a_minute::OnceAMinute;

/// The header or metadata key of a request's id.
pub const REQUEST_ID: &str = "x-request-id";
/// The header or metadata key of a request's trace (W3C Trace Context).
pub const TRACE_PARENT: &str = "traceparent";
/// The route label of all requests to unknown routes, which bounds the number of labels.
pub const UNMATCHED: &str = "unmatched";
/// The status counted if the client disconnects before its answer: nginx's 499.
const CLIENT_GONE: u16 = 499;

/// The span of a request. Contains the trace that `trace_parent` names, if any.
#[must_use]
pub fn span(method: &str, route: &str, id: &str, trace_parent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        "request",
        method,
        route,
        request_id = id,
        trace_id = field::Empty,
        parent_id = field::Empty,
    );
    if let Some((trace, parent)) = trace_parent.and_then(read_trace_parent) {
        span.record("trace_id", trace).record("parent_id", parent);
    }
    span
}

/// The client's id if it is printable ASCII of reasonable length. Otherwise a new one.
#[must_use]
pub fn request_id(sent: Option<&str>) -> String {
    let usable = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    sent.filter(usable)
        .map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// Parses the trace id and parent id of a `traceparent` header (W3C Trace Context, level 1): `00-<32 hex>-<16 hex>-<2
/// hex>`. Later versions may append fields, which are ignored. `None` if malformed, in which case the header is
/// ignored.
fn read_trace_parent(header: &str) -> Option<(&str, &str)> {
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

/// Counts a request once: when it is answered, or when it is dropped because its client disconnected.
pub struct RequestRecorder {
    metrics: Metrics,
    route: Cow<'static, str>,
    started: Instant,
    counted: bool,
}

impl RequestRecorder {
    /// Starts the clock of a request. `route` is the pattern that it matched, or [`UNMATCHED`].
    #[must_use]
    pub fn new(metrics: Metrics, route: impl Into<Cow<'static, str>>) -> Self {
        Self {
            metrics,
            route: route.into(),
            started: Instant::now(),
            counted: false,
        }
    }

    /// Counts the request, and logs it in the current span at debug level. If it `matters`, a 5xx status is a warning
    /// too, once a minute for each status: clients cause them at will, by short timeouts or a model that does not load.
    pub fn finish(&mut self, model: &str, status: u16, matters: bool) {
        if self.counted {
            return;
        }
        self.count(model, status);
        let microseconds = self.started.elapsed().as_micros();
        tracing::debug!(status, model, microseconds, "request answered");
        if matters && let Some(failures) = FAILURES.count(status) {
            tracing::warn!(
                status,
                model,
                microseconds,
                failures,
                "requests failed, this one last"
            );
        }
    }

    fn count(&mut self, model: &str, status: u16) {
        self.counted = true;
        self.metrics
            .request_finished(&self.route, model, status, self.started.elapsed());
    }
}

/// The failures of this process, which has one log.
static FAILURES: LazyLock<Failures> = LazyLock::new(Failures::default);

/// Counts failed requests by their status.
#[derive(Default)]
struct Failures {
    internal: OnceAMinute,
    unavailable: OnceAMinute,
    late: OnceAMinute,
}

impl Failures {
    /// If a line is due, the failures of this kind since the last one.
    fn count(&self, status: u16) -> Option<u64> {
        match status {
            0..500 => None,
            503 => self.unavailable.count(),
            504 => self.late.count(),
            _ => self.internal.count(),
        }
    }
}

impl Drop for RequestRecorder {
    fn drop(&mut self) {
        if !self.counted {
            self.count("", CLIENT_GONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_taken_if_printable() {
        assert_eq!(request_id(Some("abc-1")), "abc-1");
        let long = "x".repeat(129);
        for refused in ["", "tab\there", "umlaut \u{fc}", &long] {
            assert_ne!(request_id(Some(refused)), refused);
        }
        assert_ne!(request_id(None), request_id(None));
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
                read_trace_parent(&header),
                read.then_some((trace, parent)),
                "{header}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_a_status_are_logged_once_a_minute() {
        let failures = Failures::default();
        for status in [200, 404, 429, 499] {
            assert_eq!(failures.count(status), None);
        }
        for status in [500, 503, 504] {
            assert_eq!(failures.count(status), Some(1));
            assert_eq!(failures.count(status), None);
        }
        tokio::time::advance(std::time::Duration::from_mins(1)).await;
        for status in [500, 503, 504] {
            assert_eq!(failures.count(status), Some(2));
        }
    }

    #[test]
    fn a_request_is_counted_once_also_if_its_client_has_gone() {
        let metrics = Metrics::new("test");
        let mut answered = RequestRecorder::new(metrics.clone(), "/tag");
        answered.finish("m", 200, true);
        answered.finish("m", 500, true);
        drop(answered);
        drop(RequestRecorder::new(metrics.clone(), "/tag"));
        let exposition = metrics.encode().unwrap();
        let counted: Vec<&str> = exposition
            .lines()
            .filter(|line| line.starts_with("electra_requests_total"))
            .collect();
        assert_eq!(counted.len(), 2, "{exposition}");
        assert!(counted.iter().all(|line| line.ends_with(" 1")));
        assert!(counted.iter().any(|line| line.contains("code=\"499\"")));
    }
}
