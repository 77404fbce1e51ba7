//! How much may be done with one key: requests and tokens a second, and requests at a time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::numbers::float;

/// When to come back after too many requests at a time.
const CONCURRENT_PAUSE: Duration = Duration::from_secs(1);

/// The limits of one key. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyLimits {
    /// Requests a second.
    pub requests: Option<f64>,
    /// Tokens a second.
    pub tokens: Option<f64>,
    /// Requests at a time.
    pub concurrent: Option<u32>,
}

/// Which limit a request is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    Requests,
    Tokens,
    Concurrent,
}

impl Limited {
    /// As in the file of keys and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
        }
    }
}

/// What was used of a key's limits. It outlives changes of the file of keys.
#[derive(Debug)]
pub struct Usage {
    rates: Mutex<Rates>,
    in_progress: AtomicU32,
}

#[derive(Debug)]
struct Rates {
    requests: Bucket,
    tokens: Bucket,
}

/// A request that counts as in progress until this is dropped.
#[derive(Debug)]
pub struct Permit {
    usage: Arc<Usage>,
    is_limited: bool,
}

impl Usage {
    pub fn new(now: Instant) -> Self {
        Self {
            rates: Mutex::new(Rates {
                requests: Bucket::new(now),
                tokens: Bucket::new(now),
            }),
            in_progress: AtomicU32::new(0),
        }
    }

    /// Admits a request, or says which limit it is beyond and when to come back.
    ///
    /// Tokens are charged when they are known ([`Self::charge`]), so a request is admitted while none are owed.
    pub fn admit(
        self: &Arc<Self>,
        limits: &KeyLimits,
        now: Instant,
    ) -> Result<Permit, (Limited, Duration)> {
        let before = self.in_progress.fetch_add(1, Ordering::Relaxed);
        let permit = Permit {
            usage: Arc::clone(self),
            is_limited: limits.concurrent.is_some(),
        };
        if limits.concurrent.is_some_and(|most| before >= most) {
            return Err((Limited::Concurrent, CONCURRENT_PAUSE));
        }
        if limits.requests.is_none() && limits.tokens.is_none() {
            return Ok(permit);
        }
        let mut rates = self.lock();
        if let Some(rate) = limits.tokens {
            let wait = rates.tokens.wait(rate, 0.0, now);
            wait.map_or(Ok(()), |wait| Err((Limited::Tokens, wait)))?;
        }
        if let Some(rate) = limits.requests {
            let wait = rates.requests.wait(rate, 1.0, now);
            wait.map_or(Ok(()), |wait| Err((Limited::Requests, wait)))?;
            rates.requests.take(1.0);
        }
        Ok(permit)
    }

    /// How long until the limits would let another request begin, whatever is in progress. `None` for now.
    pub fn wait(&self, limits: &KeyLimits, now: Instant) -> Option<Duration> {
        if limits.requests.is_none() && limits.tokens.is_none() {
            return None;
        }
        let mut rates = self.lock();
        let of_tokens = limits
            .tokens
            .and_then(|rate| rates.tokens.wait(rate, 0.0, now));
        let of_requests = limits
            .requests
            .and_then(|rate| rates.requests.wait(rate, 1.0, now));
        of_tokens.max(of_requests)
    }

    /// Charges a request that was waited for.
    pub fn charge_request(&self, limits: &KeyLimits, now: Instant) {
        if let Some(rate) = limits.requests {
            self.lock().requests.charge(rate, 1.0, now);
        }
    }

    /// Charges tokens that a request turned out to have.
    pub fn charge(&self, limits: &KeyLimits, tokens: usize, now: Instant) {
        if let Some(rate) = limits.tokens {
            self.lock().tokens.charge(rate, float(tokens), now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Whether a limit depends on how long it is held.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.is_limited
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.usage.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A token bucket that holds what a second brings, and at least one. It may be overdrawn, and is then empty until what
/// was taken has come in.
#[derive(Debug)]
struct Bucket {
    /// `None` until it is first used, when it is full.
    level: Option<f64>,
    filled: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self {
            level: None,
            filled: now,
        }
    }

    fn fill(&mut self, rate: f64, now: Instant) {
        let most = rate.max(1.0);
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        let level = self.level.unwrap_or(most);
        self.level = Some((level + rate * elapsed).min(most));
        self.filled = now;
    }

    /// How long until `amount` may be taken. `None` for now.
    fn wait(&mut self, rate: f64, amount: f64, now: Instant) -> Option<Duration> {
        self.fill(rate, now);
        let missing = amount - self.level.unwrap_or_default();
        let seconds = missing / rate;
        (missing > 1e-9).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// Takes an amount whether it is there or not.
    fn charge(&mut self, rate: f64, amount: f64, now: Instant) {
        self.fill(rate, now);
        self.take(amount);
    }

    fn take(&mut self, amount: f64) {
        self.level = self.level.map(|level| level - amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn requests_come_at_their_rate_after_a_burst_of_a_second() {
        let limits = KeyLimits {
            requests: Some(5.0),
            ..KeyLimits::default()
        };
        let mut now = Instant::now();
        let usage = Arc::new(Usage::new(now));
        let mut admitted = 0;
        for _ in 0..100 {
            admitted += u32::from(usage.admit(&limits, now).is_ok());
            now += Duration::from_millis(100);
        }
        // 5 at once, and then 5 a second for the rest of the ten seconds.
        assert_eq!(admitted, 5 + 49);
        let (limited, wait) = usage
            .admit(&limits, now - Duration::from_millis(100))
            .unwrap_err();
        assert_eq!(limited, Limited::Requests);
        assert!(wait > Duration::ZERO && wait <= SECOND / 5, "{wait:?}");
    }

    #[test]
    fn a_rate_below_one_admits_one_request_in_its_time() {
        let limits = KeyLimits {
            requests: Some(0.1),
            ..KeyLimits::default()
        };
        let now = Instant::now();
        let usage = Arc::new(Usage::new(now));
        usage.admit(&limits, now).unwrap();
        let (_, wait) = usage.admit(&limits, now + SECOND).unwrap_err();
        assert_eq!(wait.as_millis(), 9000);
        usage.admit(&limits, now + 10 * SECOND).unwrap();
    }

    #[test]
    fn tokens_are_owed_until_they_have_come_in() {
        let limits = KeyLimits {
            tokens: Some(100.0),
            ..KeyLimits::default()
        };
        let now = Instant::now();
        let usage = Arc::new(Usage::new(now));
        usage.admit(&limits, now).unwrap();
        usage.charge(&limits, 400, now);
        let (limited, wait) = usage.admit(&limits, now + SECOND).unwrap_err();
        assert_eq!((limited, wait), (Limited::Tokens, 2 * SECOND));
        usage.admit(&limits, now + 3 * SECOND).unwrap();
        // No more than a second's worth is saved up.
        let later = now + 1000 * SECOND;
        usage.charge(&limits, 101, later);
        assert!(usage.admit(&limits, later).is_err());
    }

    #[test]
    fn requests_in_progress_are_counted_until_their_permits_are_dropped() {
        let limits = KeyLimits {
            concurrent: Some(2),
            ..KeyLimits::default()
        };
        let now = Instant::now();
        let usage = Arc::new(Usage::new(now));
        let first = usage.admit(&limits, now).unwrap();
        let _second = usage.admit(&limits, now).unwrap();
        for _ in 0..3 {
            let refused = usage.admit(&limits, now).map(drop);
            assert_eq!(refused, Err((Limited::Concurrent, SECOND)));
        }
        drop(first);
        usage.admit(&limits, now).unwrap();
    }
}
