//! Which requests are retried, and after how long.

use std::time::Duration;

/// Failures in a row, without a byte received between them, after which a request is given up.
pub const MAX_FAILURES: u32 = 5;
/// The longest wait that a hub may ask for. Its rate limits count over five minutes.
pub const MAX_WAIT: Duration = Duration::from_mins(5);

const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Whether a status is transient, so that a retry may succeed.
#[must_use]
pub fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// The wait after `failures` failures in a row. `Retry-After` takes precedence over the exponential back-off. `None` to
/// give up: after [`MAX_FAILURES`] failures, or if the server asks for more than [`MAX_WAIT`].
#[must_use]
pub fn wait(failures: u32, retry_after: Option<Duration>) -> Option<Duration> {
    if failures >= MAX_FAILURES {
        return None;
    }
    match retry_after {
        Some(asked) => (asked <= MAX_WAIT).then_some(asked),
        None => Some(FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (1..=5).map(|failures| wait(failures, None)).collect();
        let milliseconds = |number| Some(Duration::from_millis(number));
        assert_eq!(
            waits,
            [
                milliseconds(500),
                milliseconds(1000),
                milliseconds(2000),
                milliseconds(4000),
                None
            ]
        );
    }

    #[test]
    fn a_server_that_asks_for_time_gets_it_within_reason() {
        let asked = |seconds| wait(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(0), Some(Duration::ZERO));
        assert_eq!(asked(42), Some(Duration::from_secs(42)));
        assert_eq!(asked(3600), None);
        assert_eq!(wait(MAX_FAILURES, Some(Duration::ZERO)), None);
    }

    #[test]
    fn only_passing_troubles_are_worth_another_try() {
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(is_passing));
        assert!(
            ![200, 206, 302, 400, 401, 403, 404, 410, 416, 501]
                .into_iter()
                .any(is_passing)
        );
    }
}
