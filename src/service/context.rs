//! What a request brings beside its body: read from text, as headers and metadata have it, whichever way it came.

use std::time::Duration;

use tokio::time::Instant;

use crate::batch::{Priority, Schedule, WhenFull};
use crate::error::ServiceError;
use crate::limits::Timeouts;

/// The header, or metadata, of a request's priority.
pub const PRIORITY: &str = "x-request-priority";
/// The header of a request's deadline.
pub const TIMEOUT: &str = "x-request-timeout-ms";

/// What a request brings beside its body, validated.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext {
    /// How urgent it is.
    pub priority: Priority,
    /// When nobody waits for its answer any more.
    pub deadline: Instant,
    /// The latest deadline that what the request holds may ask for.
    pub latest: Instant,
    /// What becomes of it where its model's queue has no room.
    pub when_full: WhenFull,
}

impl RequestContext {
    /// A request that is refused where the queue has no room for it.
    #[must_use]
    pub fn new(priority: Priority, deadline: Instant) -> Self {
        Self {
            priority,
            deadline,
            latest: deadline,
            when_full: WhenFull::Refuse,
        }
    }

    /// A request whose transport says nothing of its time: it has the usual one from `arrived`, and may itself ask for as
    /// much as there is.
    #[must_use]
    pub fn usual(priority: Priority, arrived: Instant, timeouts: &Timeouts) -> Self {
        Self {
            latest: arrived + timeouts.max_request,
            ..Self::new(priority, arrived + timeouts.request)
        }
    }

    /// The request with the time from now that it asks for itself, as far as it may.
    #[must_use]
    pub fn asking(self, timeout: Duration) -> Self {
        let asked = Instant::now().checked_add(timeout);
        Self {
            deadline: asked.map_or(self.latest, |asked| asked.min(self.latest)),
            ..self
        }
    }

    /// When it wants to be run.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule {
            priority: self.priority,
            deadline: self.deadline,
            when_full: self.when_full,
        }
    }
}

/// The priority that a request asks for by [`PRIORITY`].
///
/// # Errors
/// [`ServiceError::InvalidHeader`].
pub fn priority(asked: Option<&str>) -> Result<Priority, ServiceError> {
    let Some(text) = asked else {
        return Ok(Priority::default());
    };
    let number = text.trim().parse::<u8>().ok();
    number
        .and_then(|number| Priority::try_from(number).ok())
        .ok_or_else(|| ServiceError::InvalidHeader {
            header: PRIORITY,
            reason: "it must be 1 (highest), 2, 3, 4 or 5".to_owned(),
        })
}

/// The time that a request asks for by [`TIMEOUT`].
///
/// # Errors
/// [`ServiceError::InvalidHeader`], also where it is more than a request may ask for.
pub fn timeout(text: &str, timeouts: &Timeouts) -> Result<Duration, ServiceError> {
    let most = timeouts.max_request;
    let time = text.trim().parse().ok().map(Duration::from_millis);
    time.filter(|time| !time.is_zero() && *time <= most)
        .ok_or_else(|| ServiceError::InvalidHeader {
            header: TIMEOUT,
            reason: format!(
                "it must be a whole number of milliseconds from 1 to {}",
                most.as_millis()
            ),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_taken_or_refused_by_name() {
        let timeouts = Timeouts::default();
        assert_eq!(priority(None).unwrap().get(), 3);
        assert_eq!(priority(Some("1")).unwrap().get(), 1);
        assert_eq!(timeout("300000", &timeouts), Ok(timeouts.max_request));
        let check = |error: ServiceError, header: &str| {
            assert_eq!(error.code(), "invalid_header");
            assert!(error.to_string().contains(header), "{error}");
        };
        for wrong in ["0", "6", "high", "", "\u{fffd}"] {
            check(priority(Some(wrong)).unwrap_err(), PRIORITY);
        }
        for wrong in [
            "0",
            "-5",
            "1.5",
            "300001",
            "99999999999999999999999",
            "\u{fffd}",
        ] {
            check(timeout(wrong, &timeouts).unwrap_err(), TIMEOUT);
        }
    }
}
