//! The budget of bytes that requests hold together, from their first byte to the last byte of their answers.
//!
//! Clients decide how much they send and when they read, so without a bound they decide how much memory the server
//! takes. Everything that grows with a request is reserved here before it is kept; if the budget is full, the request
//! is refused, or waits if its protocol has flow control.

mod hold;
mod progress;

pub use hold::Hold;
pub use progress::Progress;

use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

use crate::telemetry::once_a_minute::OnceAMinute;

/// The budget is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the budget of bytes that requests may hold is full")]
pub struct Full;

/// A budget of bytes. Clones share it.
///
/// A semaphore whose permits are bytes: never more of them are out than there are, and they are given back on drop.
#[derive(Clone, Debug)]
pub struct InflightBytes {
    free: Arc<Semaphore>,
    capacity: usize,
    refusals: Arc<OnceAMinute>,
}

impl InflightBytes {
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(capacity)),
            capacity,
            refusals: Arc::default(),
        }
    }

    /// A budget without a bound, for the requests of this process itself.
    #[must_use]
    pub fn unlimited() -> Self {
        static UNLIMITED: LazyLock<InflightBytes> =
            LazyLock::new(|| InflightBytes::new(Semaphore::MAX_PERMITS));
        UNLIMITED.clone()
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.capacity.saturating_sub(self.free.available_permits())
    }

    /// A hold of no bytes, which can grow.
    #[must_use]
    pub fn empty(&self) -> Hold {
        Hold::new(self.clone())
    }

    /// Takes `bytes` from the budget, until the hold is dropped.
    ///
    /// # Errors
    /// [`Full`] if fewer are left. The log says so, at most once a minute.
    pub fn reserve(&self, bytes: usize) -> Result<Hold, Full> {
        let mut hold = self.empty();
        hold.grow(bytes)?;
        Ok(hold)
    }

    /// For transports that can make their clients wait.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        Waiter {
            free: PollSemaphore::new(Arc::clone(&self.free)),
            budget: self.clone(),
        }
    }

    fn refuse(&self) -> Full {
        if let Some(refused) = self.refusals.count() {
            tracing::warn!(
                refused,
                held = self.held(),
                max_inflight_bytes = self.capacity,
                "requests refused: those being answered hold all of max_inflight_bytes"
            );
        }
        Full
    }
}

/// Waits for bytes, in order of arrival.
#[derive(Debug)]
pub struct Waiter {
    free: PollSemaphore,
    budget: InflightBytes,
}

impl Waiter {
    /// Takes `bytes` once that many are left. More than the whole budget counts as the whole budget: what has arrived
    /// is in memory already.
    pub fn poll_reserve(&mut self, context: &mut Context<'_>, bytes: usize) -> Poll<Hold> {
        let bytes = bytes.min(self.budget.capacity);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = std::task::ready!(self.free.poll_acquire_many(context, bytes));
        Poll::Ready(Hold::of_permit(self.budget.clone(), permit))
    }
}

#[cfg(test)]
mod tests;
