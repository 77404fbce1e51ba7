//! Runs each load on a thread of its own, so that one that panics or never ends fails alone.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::panics::{Panic, caught};

/// While this many abandoned attempts have not ended, no other is begun. Attempts in progress may still be abandoned, so
/// there can be more. Each holds a thread, and the memory that it has taken so far.
const MOST_ABANDONED: usize = 4;

/// Attempts in progress, and those that were abandoned and have not ended.
pub struct Attempts<K, T> {
    timeout: Duration,
    running: BTreeMap<K, Attempt<T>>,
    abandoned: BTreeMap<K, JoinHandle<()>>,
}

struct Attempt<T> {
    started: Instant,
    outcome: Receiver<Result<T, Panic>>,
    thread: JoinHandle<()>,
}

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<T> {
    Finished(T),
    Panicked(Panic),
    /// It took too long. Its thread ends by itself and drops its result.
    TimedOut,
}

/// Why an attempt was not begun.
#[derive(Debug)]
pub enum Refusal {
    /// An earlier attempt under this key was abandoned and has not ended.
    Unended,
    /// Several abandoned attempts have not ended.
    TooManyUnended,
    /// The operating system can't start a thread.
    Thread(io::Error),
}

impl<K: Ord + Clone, T: Send + 'static> Attempts<K, T> {
    /// Attempts are abandoned after `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            running: BTreeMap::new(),
            abandoned: BTreeMap::new(),
        }
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Begins an attempt on a thread named `name`. There must be none in progress under this key.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn begin(
        &mut self,
        key: K,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(), Refusal> {
        self.abandoned.retain(|_, thread| !thread.is_finished());
        if self.abandoned.contains_key(&key) {
            return Err(Refusal::Unended);
        }
        if self.abandoned.len() >= MOST_ABANDONED {
            return Err(Refusal::TooManyUnended);
        }
        let (send, outcome) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            // If the attempt was abandoned, its result is dropped here.
            .spawn(move || drop(send.send(caught(work))))
            .map_err(Refusal::Thread)?;
        let attempt = Attempt {
            started: Instant::now(),
            outcome,
            thread,
        };
        self.running.insert(key, attempt);
        Ok(())
    }

    pub fn is_running(&self, key: &K) -> bool {
        self.running.contains_key(key)
    }

    /// The attempt that has been in progress for longest.
    pub fn oldest(&self) -> Option<K> {
        let oldest = self.running.iter().min_by_key(|(_, found)| found.started);
        oldest.map(|(key, _)| key.clone())
    }

    /// Waits until an attempt ends, for `patience` at most. `None` if it is still in progress then.
    pub fn wait(&mut self, key: &K, patience: Duration) -> Option<Ended<T>> {
        let attempt = self.running.get(key)?;
        let left = self.timeout.saturating_sub(attempt.started.elapsed());
        let outcome = match attempt.outcome.recv_timeout(patience.min(left)) {
            Ok(outcome) => Some(outcome),
            Err(RecvTimeoutError::Disconnected) => Some(Err(no_outcome())),
            Err(RecvTimeoutError::Timeout) if attempt.started.elapsed() < self.timeout => {
                return None;
            }
            Err(RecvTimeoutError::Timeout) => None,
        };
        Some(self.end(key, outcome))
    }

    /// Returns the attempts that have ended since the last call.
    pub fn take_ended(&mut self) -> Vec<(K, Ended<T>)> {
        let keys: Vec<K> = self.running.keys().cloned().collect();
        let ended = keys.into_iter().filter_map(|key| {
            let ended = self.wait(&key, Duration::ZERO)?;
            Some((key, ended))
        });
        ended.collect()
    }

    /// Gives up an attempt, if there is one in progress.
    pub fn abandon(&mut self, key: &K) {
        if let Some(attempt) = self.running.remove(key) {
            self.abandoned.insert(key.clone(), attempt.thread);
        }
    }

    fn end(&mut self, key: &K, outcome: Option<Result<T, Panic>>) -> Ended<T> {
        let Some(outcome) = outcome else {
            self.abandon(key);
            return Ended::TimedOut;
        };
        if let Some(attempt) = self.running.remove(key) {
            // It has sent its outcome, so it ends now. After that, its memory is free for other threads.
            let _ = attempt.thread.join();
        }
        match outcome {
            Ok(value) => Ended::Finished(value),
            Err(panic) => Ended::Panicked(panic),
        }
    }
}

/// Stands for the panic of a thread that ended without an outcome.
fn no_outcome() -> Panic {
    Panic {
        message: "its thread ended".to_owned(),
        place: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::testing::eventually;

    const LONG: Duration = Duration::from_mins(1);

    /// Work that goes on until the sender is dropped.
    fn endless() -> (Sender<()>, impl FnOnce() -> u8 + Send + 'static) {
        let (end, ended): (Sender<()>, Receiver<()>) = channel();
        (end, move || u8::from(ended.recv().is_ok()))
    }

    #[test]
    fn an_attempt_that_panics_ends_with_its_message() {
        let mut attempts: Attempts<u8, u8> = Attempts::new(LONG);
        attempts.begin(1, "one", || 7).unwrap();
        assert_eq!(attempts.wait(&1, LONG), Some(Ended::Finished(7)));
        assert_eq!(attempts.wait(&1, LONG), None);
        attempts.begin(1, "one", || panic!("broken")).unwrap();
        let Some(Ended::Panicked(panic)) = attempts.wait(&1, LONG) else {
            panic!("it panics");
        };
        assert_eq!(panic.message, "broken");
        assert!(panic.place.contains("attempts.rs"), "{}", panic.place);
    }

    /// Waits until an abandoned attempt has ended.
    async fn until_ended(attempts: &Attempts<usize, u8>, key: usize) {
        eventually("the attempt ends", async || {
            attempts.abandoned[&key].is_finished()
        })
        .await;
    }

    #[tokio::test]
    async fn an_attempt_that_never_ends_is_abandoned_and_begun_again_once_it_has_ended() {
        let mut attempts = Attempts::new(Duration::from_millis(1));
        let (end, work) = endless();
        attempts.begin(1, "one", work).unwrap();
        assert_eq!(attempts.wait(&1, LONG), Some(Ended::TimedOut));
        assert!(!attempts.is_running(&1));
        let again = attempts.begin(1, "one", || 1);
        assert!(matches!(again, Err(Refusal::Unended)));
        drop(end);
        until_ended(&attempts, 1).await;
        attempts.begin(1, "one", || 1).unwrap();
    }

    #[test]
    fn others_go_on_beside_a_slow_attempt() {
        let mut attempts = Attempts::new(LONG);
        let (end, work) = endless();
        attempts.begin(1, "slow", work).unwrap();
        assert_eq!(attempts.wait(&1, Duration::ZERO), None);
        attempts.begin(2, "fast", || 2).unwrap();
        assert_eq!(attempts.wait(&2, LONG), Some(Ended::Finished(2)));
        assert_eq!(attempts.take_ended(), []);
        assert_eq!(attempts.oldest(), Some(1));
        drop(end);
        assert_eq!(attempts.wait(&1, LONG), Some(Ended::Finished(0)));
    }

    #[tokio::test]
    async fn few_attempts_are_abandoned_at_a_time() {
        let mut attempts = Attempts::new(LONG);
        let mut ends = Vec::new();
        for key in 0..MOST_ABANDONED {
            let (end, work) = endless();
            attempts.begin(key, "endless", work).unwrap();
            attempts.abandon(&key);
            ends.push(end);
        }
        let more = attempts.begin(9, "more", || 1);
        assert!(matches!(more, Err(Refusal::TooManyUnended)));
        drop(ends.pop());
        until_ended(&attempts, MOST_ABANDONED - 1).await;
        attempts.begin(9, "more", || 1).unwrap();
    }

    #[test]
    fn the_result_of_an_abandoned_attempt_is_dropped_by_its_thread() {
        struct Named(Sender<Option<String>>);
        impl Drop for Named {
            fn drop(&mut self) {
                let _ = self.0.send(thread::current().name().map(str::to_owned));
            }
        }
        let mut attempts = Attempts::new(LONG);
        let (dropped, on) = channel();
        let (end, ended) = channel::<()>();
        let work = move || {
            let _ = ended.recv();
            Named(dropped)
        };
        attempts.begin(1, "its own", work).unwrap();
        attempts.abandon(&1);
        drop(end);
        assert_eq!(on.recv_timeout(LONG).unwrap().as_deref(), Some("its own"));
    }
}
