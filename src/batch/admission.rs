//! Whether a request may wait. Pure: the clock's time and all estimates are passed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::client::Client;

/// The part of the longest wait to which waits are bounded while a client asks for more than it can get.
const TARGET: u32 = 4;
/// The most clients of which it is remembered that they were refused.
const REMEMBERED: usize = 4096;

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
/// A burst may fill the queue up to the longest wait. If a client sends more than that, its queue would stay at this
/// length for as long as it does, and only make everything late. So from then on its waits are bounded to a quarter,
/// until it has not been refused for as long as the longest wait. This is the idea of controlled delay (Nichols and
/// Jacobson 2012).
#[derive(Debug)]
pub struct Admission {
    longest_wait: Duration,
    /// When requests of a client were last refused for their wait.
    refused: HashMap<Client, Instant>,
}

impl Admission {
    pub fn new(longest_wait: Duration) -> Self {
        Self {
            longest_wait,
            refused: HashMap::new(),
        }
    }

    /// Decides about a request with this much time until its deadline.
    pub fn decide(
        &self,
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
        let asks_too_much = self
            .refused
            .get(&client)
            .is_some_and(|refused| now.saturating_duration_since(*refused) < self.longest_wait);
        let bound = if asks_too_much {
            self.longest_wait / TARGET
        } else {
            self.longest_wait
        };
        let excess = expected.wait.saturating_sub(bound);
        if excess.is_zero() {
            return Ok(());
        }
        Err(Refusal::Wait { excess })
    }

    /// Remembers that a client was refused because it would have waited too long.
    pub fn refused(&mut self, client: Client, now: Instant) {
        if self.refused.len() >= REMEMBERED {
            let longest_wait = self.longest_wait;
            self.refused
                .retain(|_, refused| now.saturating_duration_since(*refused) < longest_wait);
        }
        if self.refused.len() < REMEMBERED {
            self.refused.insert(client, now);
        }
    }

    /// Nothing waits any more.
    pub fn emptied(&mut self) {
        self.refused.clear();
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
            if outcome.is_err() {
                admission.refused(Client::Local, now);
            }
            let refusal = excess.map(|excess| Refusal::Wait {
                excess: Duration::from_millis(excess),
            });
            assert_eq!(outcome.err(), refusal, "at {at}");
        };
        check(0, 1000, None);
        check(5000, 1000, None);
        check(5010, 1001, Some(1));
        // It asks for more than it gets.
        check(5020, 900, Some(650));
        check(6010, 251, Some(1));
        check(6020, 250, None);
        // Not refused for a second.
        check(7009, 251, Some(1));
        check(8009, 1000, None);
    }

    #[test]
    fn clients_are_judged_by_their_own_queue() {
        let now = Instant::now();
        let mut admission = Admission::new(SECOND);
        let other = Client::from(std::net::IpAddr::from([192, 0, 2, 1]));
        let decide = |admission: &mut Admission, client, milliseconds| {
            let decided = admission.decide(client, wait(milliseconds), MINUTE, now);
            if decided.is_err() {
                admission.refused(client, now);
            }
            decided.is_ok()
        };
        assert!(!decide(&mut admission, Client::Local, 1001));
        assert!(!decide(&mut admission, Client::Local, 900));
        assert!(decide(&mut admission, other, 900));
        admission.emptied();
        assert!(decide(&mut admission, Client::Local, 900));
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut admission = Admission::new(SECOND);
        for number in 0..3 * 4096_u32 {
            let client = Client::from(std::net::IpAddr::from(number.to_be_bytes()));
            // The first half of them long ago.
            let at = if number < 6000 { now } else { now + MINUTE };
            admission.refused(client, at);
        }
        assert_eq!(admission.refused.len(), REMEMBERED);
    }

    #[test]
    fn what_would_end_too_late_does_not_begin() {
        let admission = Admission::new(SECOND);
        let expected = Expected {
            wait: Duration::ZERO,
            end: MINUTE,
        };
        let decide = |left| admission.decide(Client::Local, expected, left, Instant::now());
        assert_eq!(decide(MINUTE), Ok(()));
        let needed = MINUTE;
        assert_eq!(decide(SECOND), Err(Refusal::Deadline { needed }));
    }
}
