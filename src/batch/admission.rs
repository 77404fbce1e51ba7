//! Whether a request may wait. Pure: the clock's time and all estimates are passed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::client::Client;

/// The part of the longest wait at which a queue counts as standing if it stays above it, and to which its newcomers'
/// waits are then bounded.
const TARGET: u32 = 4;
/// The part of the longest wait for which a queue may stay above the target.
const PATIENCE: u32 = 2;

/// How long a request would take from now on, at the measured rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Until its first batch.
    pub wait: Duration,
    /// Until its last answer.
    pub end: Duration,
}

/// Why a request may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It would wait longer than allowed, by this much.
    Wait { excess: Duration },
    /// It would end after its deadline.
    Deadline { needed: Duration },
}

/// Bounds how long requests wait.
///
/// A burst may fill the queue up to the longest wait. A queue that stays long, because more arrives than can be done,
/// only makes everyone late: so once a client's wait has been above a quarter of the longest for half of it, its
/// requests are refused until it is below again. This is the idea of controlled delay (Nichols and Jacobson 2012).
#[derive(Debug)]
pub struct Admission {
    longest_wait: Duration,
    /// Since when the expected waits of a client's requests have been above the target.
    above_target: HashMap<Client, Instant>,
}

impl Admission {
    pub fn new(longest_wait: Duration) -> Self {
        Self {
            longest_wait,
            above_target: HashMap::new(),
        }
    }

    /// Decides about a request with this much time until its deadline.
    pub fn decide(
        &mut self,
        client: Client,
        expected: Expected,
        time_left: Duration,
        now: Instant,
    ) -> Result<(), Refusal> {
        if expected.end > time_left {
            return Err(Refusal::Deadline {
                needed: expected.end,
            });
        }
        let target = self.longest_wait / TARGET;
        if expected.wait <= target {
            self.above_target.remove(&client);
            return Ok(());
        }
        let since = *self.above_target.entry(client).or_insert(now);
        let stands = now.saturating_duration_since(since) >= self.longest_wait / PATIENCE;
        let bound = if stands { target } else { self.longest_wait };
        match expected.wait.checked_sub(bound) {
            Some(excess) if !excess.is_zero() => Err(Refusal::Wait { excess }),
            _ => Ok(()),
        }
    }

    /// Nothing waits any more.
    pub fn emptied(&mut self) {
        self.above_target.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_mins(1);

    fn wait(milliseconds: u64) -> Expected {
        let wait = Duration::from_millis(milliseconds);
        Expected { wait, end: wait }
    }

    #[test]
    fn a_burst_fills_the_queue_and_a_standing_queue_is_kept_short() {
        let start = Instant::now();
        let mut admission = Admission::new(SECOND);
        let mut check = |at: u64, expected: u64, excess: Option<u64>| {
            let now = start + Duration::from_millis(at);
            let outcome = admission.decide(Client::Local, wait(expected), MINUTE, now);
            let refusal = excess.map(|excess| Refusal::Wait {
                excess: Duration::from_millis(excess),
            });
            assert_eq!(outcome.err(), refusal, "at {at}");
        };
        check(0, 200, None);
        check(10, 1000, None);
        check(20, 1001, Some(1));
        check(500, 900, None);
        // For half a second above a quarter of the bound.
        check(510, 900, Some(650));
        check(600, 251, Some(1));
        check(700, 250, None);
        check(710, 900, None);
    }

    #[test]
    fn clients_are_judged_by_their_own_queue() {
        let now = Instant::now();
        let mut admission = Admission::new(SECOND);
        let other = Client::from(std::net::IpAddr::from([192, 0, 2, 1]));
        let decide = |admission: &mut Admission, client, at| {
            admission.decide(client, wait(900), MINUTE, now + at)
        };
        assert_eq!(
            decide(&mut admission, Client::Local, Duration::ZERO),
            Ok(())
        );
        assert!(decide(&mut admission, Client::Local, SECOND).is_err());
        assert_eq!(decide(&mut admission, other, SECOND), Ok(()));
        admission.emptied();
        assert_eq!(decide(&mut admission, Client::Local, SECOND), Ok(()));
    }

    #[test]
    fn what_would_end_too_late_does_not_begin() {
        let mut admission = Admission::new(SECOND);
        let expected = Expected {
            wait: Duration::ZERO,
            end: MINUTE,
        };
        let mut decide = |left| admission.decide(Client::Local, expected, left, Instant::now());
        assert_eq!(decide(MINUTE), Ok(()));
        let needed = MINUTE;
        assert_eq!(decide(SECOND), Err(Refusal::Deadline { needed }));
    }
}
