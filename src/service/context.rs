//! A request's context beside its body: priority and deadline, parsed from headers or gRPC metadata.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::Requester;
use crate::batch::{Priority, Schedule, WhenFull};
use crate::client::Client;
use crate::error::ServiceError;
use crate::inflight::{Hold, InflightBytes};
use crate::limits::Timeouts;

/// Header or metadata key of a request's priority.
pub const PRIORITY: &str = "x-request-priority";
/// Header of a request's timeout, in milliseconds.
pub const TIMEOUT: &str = "x-request-timeout-ms";

/// A request's validated context. Clones share what the request holds.
#[derive(Clone, Debug)]
pub struct RequestContext {
    pub requester: Requester,
    pub priority: Priority,
    /// If the request has no answer by then, it fails.
    pub deadline: Instant,
    /// Latest deadline that the request's own parameters may set.
    pub latest: Instant,
    /// Whether the request waits or is refused if its model's queue is full.
    pub when_full: WhenFull,
    /// The bytes that the request itself holds in memory, given back with the last clone. Work that goes on after its
    /// client has gone keeps a clone.
    pub held: Arc<Mutex<Hold>>,
}

impl RequestContext {
    /// The context of a request of this process, which is refused if the queue is full.
    #[must_use]
    pub fn new(priority: Priority, deadline: Instant) -> Self {
        Self {
            requester: Requester::default(),
            priority,
            deadline,
            latest: deadline,
            when_full: WhenFull::Refuse,
            held: holding(InflightBytes::unlimited().of(Client::Local).empty()),
        }
    }

    /// The same, of this sender.
    #[must_use]
    pub fn sent_by(self, requester: Requester) -> Self {
        Self { requester, ..self }
    }

    /// What the request counts towards, in turns and bounds.
    #[must_use]
    pub fn client(&self) -> Client {
        self.requester.client()
    }

    /// The same, with the bytes that the request holds. More is taken from the same budget.
    #[must_use]
    pub fn holding(self, held: Hold) -> Self {
        Self {
            held: holding(held),
            ..self
        }
    }

    /// Takes bytes for what is made of the request: tokens, logits, results.
    ///
    /// # Errors
    /// [`ServiceError::Overloaded`] if the client may not have as many.
    pub fn reserve(&self, bytes: usize) -> Result<Hold, ServiceError> {
        let client = self.lock().client().clone();
        Ok(client.reserve(bytes)?)
    }

    /// Adds to what the request itself holds.
    pub fn keep(&self, more: Hold) {
        self.lock().merge(more);
    }

    /// What an answer of `bytes` holds. It takes the place of what the request held, if nothing else does so any more.
    ///
    /// # Errors
    /// [`ServiceError::Overloaded`] if the client may not have as many.
    pub fn into_answer(self, bytes: usize) -> Result<Hold, ServiceError> {
        let client = self.lock().client().clone();
        let own = Arc::try_unwrap(self.held).ok();
        let own = own.map(|held| held.into_inner().unwrap_or_else(PoisonError::into_inner));
        let mut hold = own.unwrap_or_else(|| client.empty());
        hold.resize(bytes)?;
        Ok(hold)
    }

    fn lock(&self) -> MutexGuard<'_, Hold> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The context of a request whose transport sets no timeout. It has the default timeout, counted from `arrived`;
    /// its parameters may extend it to the maximum.
    #[must_use]
    pub fn with_default_timeout(priority: Priority, arrived: Instant, timeouts: &Timeouts) -> Self {
        Self {
            latest: arrived + timeouts.max_request,
            ..Self::new(priority, arrived + timeouts.request)
        }
    }

    /// Replaces the deadline by `timeout` from now, clamped to [`Self::latest`].
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let asked = Instant::now().checked_add(timeout);
        Self {
            deadline: asked.map_or(self.latest, |asked| asked.min(self.latest)),
            ..self
        }
    }

    /// How the scheduler should run the request.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule {
            client: self.client(),
            priority: self.priority,
            deadline: self.deadline,
            when_full: self.when_full,
        }
    }
}

fn holding(hold: Hold) -> Arc<Mutex<Hold>> {
    Arc::new(Mutex::new(hold))
}

/// Parses the value of [`PRIORITY`].
///
/// # Errors
/// [`ServiceError::InvalidHeader`] if it is not 1 to 5.
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

/// Parses the value of [`TIMEOUT`].
///
/// # Errors
/// [`ServiceError::InvalidHeader`] if it is not a whole number of milliseconds, is 0, or is above the maximum.
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
