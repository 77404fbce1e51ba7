//! The budget of bytes that requests hold together, from their first byte to the last byte of their answers.
//!
//! Clients decide how much they send and when they read, so without a bound they decide how much memory the server
//! takes. Everything that grows with a request is reserved here before it is kept; if the budget is full, the request
//! is refused, or waits if its protocol has flow control. No client can fill the whole budget: the last quarter is kept
//! for those who hold little.

mod head;
mod hold;
mod ledger;
mod line;
mod progress;
mod waiter;

pub use head::head_bytes;
pub use hold::Hold;
pub use line::Purpose;
pub use progress::Progress;
pub use waiter::Waiter;

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::telemetry::once_a_minute::OnceAMinute;
use ledger::Ledger;
use line::Line;

/// The budget is full, or the client's part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the budget of bytes that requests may hold is full")]
pub struct Full;

/// A budget of bytes, shared by all clients. Clones are of the same budget.
#[derive(Clone, Debug)]
pub struct InflightBytes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Held for a few instructions.
    state: Mutex<State>,
    refusals: OnceAMinute,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    line: Line<oneshot::Sender<Hold>>,
}

impl InflightBytes {
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                ledger: Ledger::new(capacity),
                line: Line::default(),
            }),
            refusals: OnceAMinute::default(),
        }))
    }

    /// A budget without a bound, for the requests of this process itself.
    #[must_use]
    pub fn unlimited() -> Self {
        static UNLIMITED: LazyLock<InflightBytes> =
            LazyLock::new(|| InflightBytes::new(usize::MAX));
        UNLIMITED.clone()
    }

    #[must_use]
    pub fn capacity(&self) -> usize {
        self.lock().ledger.capacity()
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().ledger.held()
    }

    /// The part of one client.
    #[must_use]
    pub fn of(&self, client: Client) -> ClientBytes {
        ClientBytes {
            budget: self.clone(),
            client,
        }
    }

    /// Makes a change that may leave bytes to those who wait, and gives them these.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let State { ledger, line } = &mut *state;
        let granted = line.advance(|client, bytes| ledger.take(client, bytes));
        drop(state);
        for (client, bytes, waiting) in granted {
            // If it does not wait any more, the hold is dropped, and so given back.
            let _ = waiting.send(Hold::of(self.of(client), bytes));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one client may take of the budget.
#[derive(Clone, Debug)]
pub struct ClientBytes {
    budget: InflightBytes,
    client: Client,
}

impl ClientBytes {
    /// A hold of no bytes, which can grow.
    #[must_use]
    pub fn empty(&self) -> Hold {
        Hold::of(self.clone(), 0)
    }

    /// Takes `bytes` from the budget, until the hold is dropped.
    ///
    /// # Errors
    /// [`Full`] if the client may not take as many. The log says so, at most once a minute.
    pub fn reserve(&self, bytes: usize) -> Result<Hold, Full> {
        let mut hold = self.empty();
        hold.grow(bytes)?;
        Ok(hold)
    }

    /// For transports that can make their clients wait.
    #[must_use]
    pub fn waiter(&self, purpose: Purpose) -> Waiter {
        Waiter::new(self.clone(), purpose)
    }

    fn take(&self, bytes: usize) -> Result<(), Full> {
        let taken = self.budget.lock().ledger.take(self.client, bytes);
        if taken { Ok(()) } else { Err(self.refuse()) }
    }

    /// Gives bytes back, and to those who wait for them.
    fn give(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.budget
            .change(|state| state.ledger.give(self.client, bytes));
    }

    fn refuse(&self) -> Full {
        if let Some(refused) = self.budget.0.refusals.count() {
            let state = self.budget.lock();
            let (held, held_by_client, max_inflight_bytes) = (
                state.ledger.held(),
                state.ledger.held_by(self.client),
                state.ledger.capacity(),
            );
            drop(state);
            tracing::warn!(
                refused,
                held,
                held_by_client,
                max_inflight_bytes,
                "requests refused: those being answered hold what their clients may have of max_inflight_bytes"
            );
        }
        Full
    }
}

#[cfg(test)]
mod tests;
