//! Runs long computations on a bounded number of blocking threads, so that they do not block connections.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::error::ServiceError;

/// Smaller inputs are processed in place. Tokenizing this much takes about 500 microseconds, about as long as a
/// connection's thread may be blocked.
const IN_PLACE_BYTES: usize = 8 << 10;

/// Runs parsing, tokenizing and decoding, but no models. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor {
    slots: Arc<Semaphore>,
}

impl Executor {
    /// Allows at most `threads` large computations at a time.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(threads.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Runs `work`, which processes `input_bytes` of input. Small inputs are processed in place, others on a blocking
    /// thread.
    ///
    /// # Errors
    /// [`ServiceError::DeadlineExceeded`] if `deadline` passes first, or [`ServiceError::Internal`] if the work
    /// panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        input_bytes: usize,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        if input_bytes < IN_PLACE_BYTES {
            return Ok(work());
        }
        let executed = async {
            let _slot = self.slots.acquire().await.map_err(ServiceError::internal)?;
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
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let executor = Executor::new(1);
        let deadline = Instant::now() + Duration::from_mins(1);
        let here = std::thread::current().id();
        let small = executor
            .run(10, deadline, || std::thread::current().id())
            .await
            .unwrap();
        let large = executor
            .run(IN_PLACE_BYTES, deadline, || std::thread::current().id())
            .await
            .unwrap();
        assert_eq!(small, here);
        assert_ne!(large, here);
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_and_a_deadline_is_kept() {
        let executor = Executor::new(1);
        let deadline = Instant::now() + Duration::from_mins(1);
        let panicked = executor
            .run(IN_PLACE_BYTES, deadline, || panic!("wrong"))
            .await;
        assert_eq!(panicked, Err::<(), _>(ServiceError::Internal));
        let _slot = executor.slots.acquire().await.unwrap();
        let late = executor.run(IN_PLACE_BYTES, Instant::now(), || ()).await;
        assert_eq!(late, Err(ServiceError::DeadlineExceeded));
    }
}
