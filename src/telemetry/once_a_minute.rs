//! Log lines that clients can cause at will are written once a minute, with how often it happened.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_mins(1);

/// Counts one kind of event.
#[derive(Debug, Default)]
pub struct OnceAMinute(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    unlogged: u64,
    logged: Option<Instant>,
}

impl OnceAMinute {
    /// Counts an event. If it is time for a log line, returns the events since the last one.
    pub fn count(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.unlogged += 1;
        if state.logged.is_some_and(|logged| now < logged + INTERVAL) {
            return None;
        }
        state.logged = Some(now);
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_event_is_logged_and_then_one_line_a_minute() {
        let events = OnceAMinute::default();
        assert_eq!(events.count(), Some(1));
        for _ in 0..3 {
            assert_eq!(events.count(), None);
        }
        advance(INTERVAL).await;
        assert_eq!(events.count(), Some(4));
        for _ in 0..5 {
            advance(Duration::from_secs(11)).await;
            assert_eq!(events.count(), None);
        }
        advance(Duration::from_secs(5)).await;
        assert_eq!(events.count(), Some(6));
        assert_eq!(events.count(), None);
    }
}
