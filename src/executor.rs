//! Runs long computations on a bounded number of blocking threads, so that they do not block connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::error::ServiceError;

/// Work that takes longer may not run on a thread that serves connections: it would delay all of them.
const LONGEST_IN_PLACE: Duration = Duration::from_micros(100);

/// Runs parsing, tokenizing and decoding, but no models. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor {
    slots: Arc<Semaphore>,
    most: usize,
}

impl Executor {
    /// Allows at most `threads` large computations at a time.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let most = threads.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slots: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// The number of large computations that run at a time.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.most
    }

    /// Runs `work`, which is estimated to take `cost`: in place if it is short, otherwise on a blocking thread. If the
    /// future is dropped, work that has not begun does not begin, and work that has keeps its slot until it ends.
    ///
    /// # Errors
    /// [`ServiceError::DeadlineExceeded`] if `deadline` passes first, or [`ServiceError::Internal`] if the work
    /// panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        cost: Duration,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        if cost <= LONGEST_IN_PLACE {
            return Ok(work());
        }
        let slots = Arc::clone(&self.slots);
        let executed = async {
            let slot = slots.acquire_owned().await;
            let slot = slot.map_err(ServiceError::internal)?;
            let work = move || {
                let _slot = slot;
                work()
            };
            tokio::task::spawn_blocking(work)
                .await
                .map_err(ServiceError::internal)
        };
        timeout_at(deadline, executed)
            .await
            .unwrap_or(Err(ServiceError::DeadlineExceeded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_micros(101);

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let executor = Executor::new(1);
        let deadline = Instant::now() + Duration::from_mins(1);
        let here = std::thread::current().id();
        let small = executor
            .run(LONGEST_IN_PLACE, deadline, || std::thread::current().id())
            .await
            .unwrap();
        let large = executor
            .run(LONG, deadline, || std::thread::current().id())
            .await
            .unwrap();
        assert_eq!(small, here);
        assert_ne!(large, here);
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_and_a_deadline_is_kept() {
        let executor = Executor::new(1);
        let deadline = Instant::now() + Duration::from_mins(1);
        let panicked = executor.run(LONG, deadline, || panic!("wrong")).await;
        assert_eq!(panicked, Err::<(), _>(ServiceError::Internal));
        let _slot = executor.slots.acquire().await.unwrap();
        let late = executor.run(LONG, Instant::now(), || ()).await;
        assert_eq!(late, Err(ServiceError::DeadlineExceeded));
    }

    #[tokio::test]
    async fn abandoned_work_keeps_its_slot_until_it_ends() {
        let executor = Executor::new(1);
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let far = Instant::now() + Duration::from_mins(1);
        let long = executor.run(LONG, far, move || {
            let _ = begun.send(());
            let _ = gate.recv();
        });
        tokio::select! {
            _ = long => panic!("it waits for the gate"),
            _ = has_begun => {}
        }
        // Its future is dropped, and it still runs: nothing else may.
        let soon = Instant::now() + Duration::from_millis(10);
        let next = executor.run(LONG, soon, || ()).await;
        assert_eq!(next, Err(ServiceError::DeadlineExceeded));
        drop(release);
        assert_eq!(executor.run(LONG, far, || ()).await, Ok(()));
    }
}
