//! Tells of refusals in the log, at most once a minute: clients decide how many there are.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_mins(1);

/// Counts refusals between two lines of the log.
#[derive(Debug)]
pub struct Refusals {
    started: Instant,
    /// Milliseconds after `started` from which the next line may be written.
    next: AtomicU64,
    since: AtomicU64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            next: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }
}

impl Refusals {
    pub fn count(&self, held: usize, capacity: usize) {
        if let Some(refused) = self.due() {
            tracing::warn!(
                refused,
                held,
                max_inflight_bytes = capacity,
                "requests refused: those being answered hold all of max_inflight_bytes"
            );
        }
    }

    /// Counts one refusal. Returns the number since the last line if another line is due.
    fn due(&self) -> Option<u64> {
        self.since.fetch_add(1, Relaxed);
        let now = milliseconds(self.started.elapsed());
        let next = self.next.load(Relaxed);
        if now < next {
            return None;
        }
        let later = now + milliseconds(INTERVAL);
        let won = self.next.compare_exchange(next, later, Relaxed, Relaxed);
        won.ok().map(|_| self.since.swap(0, Relaxed))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_has_one_line_with_the_count_of_the_one_before() {
        let refusals = Refusals::default();
        assert_eq!(refusals.due(), Some(1));
        for _ in 0..5 {
            advance(Duration::from_secs(11)).await;
            assert_eq!(refusals.due(), None);
        }
        advance(Duration::from_secs(5)).await;
        assert_eq!(refusals.due(), Some(6));
        assert_eq!(refusals.due(), None);
    }
}
