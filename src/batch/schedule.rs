//! When a request is run, and what becomes of it if the queue is full.

use tokio::time::Instant;

use super::policy::Priority;

/// When a request wants to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How urgent it is among others.
    pub priority: Priority,
    /// When its answer is worth nothing any more: what has not begun by then is not run.
    pub deadline: Instant,
    /// What becomes of it where the queue has no room.
    pub when_full: WhenFull,
}

/// What becomes of a request where its model's queue has no room for it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused at once, with the time when trying again makes sense.
    #[default]
    Refuse,
    /// It waits outside the queue until there is room, or its deadline passes. For who bounds itself how much waits so.
    Wait,
}
