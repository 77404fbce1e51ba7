//! Who sends a request, its priority and deadline, and its behaviour if the queue is full.

use tokio::time::Instant;

use super::priority::Priority;
use crate::client::Client;

/// When a request should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub client: Client,
    pub priority: Priority,
    /// The time after which the answer is useless. Sequences that have not started by then do not run.
    pub deadline: Instant,
    pub when_full: WhenFull,
}

/// Whether a request waits if it can't be admitted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused at once, with an estimate of when to retry.
    #[default]
    Refuse,
    /// It waits outside the queue until it can or its deadline passes. Only for callers that bound the number of such
    /// requests themselves.
    Wait,
}
