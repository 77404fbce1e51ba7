//! From waiting sequences to batches: one bounded queue a model, one pool of worker threads for all of them.
//!
//! A batch forms when a worker frees, never before: the worker takes the model whose most urgent sequence is the most
//! urgent of all, and fills the token budget with what waits near it in urgency and length.

pub mod policy;
mod queue;
mod scheduler;
mod throughput;
mod worker;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

pub use policy::{InvalidPriority, Priority};
pub use scheduler::{ModelQueue, QueueOptions, Scheduler, SchedulerOptions};

/// One input of a model, special tokens included: at least one token, and as many type ids as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Segment of each token: 0 for the first text, 1 for the second.
    pub type_ids: Vec<u8>,
}

impl Sequence {
    /// Number of tokens, special tokens included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token at all, which no model accepts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// What a model computed for one sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceOutput {
    /// Logits: one row of labels for each token (token heads), or one row (sequence heads).
    pub logits: Vec<f32>,
    /// How long the sequence waited for a worker.
    pub queue_time: Duration,
    /// How long its batch ran.
    pub inference_time: Duration,
}

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

/// Why a request got no output.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The model's queue has no room for the request.
    #[error("the model's queue is full: try again in {} s", retry_after.as_secs_f64().ceil())]
    QueueFull {
        /// When the work that waits now should be done; at least a second.
        retry_after: Duration,
    },
    /// The deadline passed before all outputs were there.
    #[error("the request's deadline passed before its answer was ready")]
    DeadlineExceeded,
    /// The scheduler accepts nothing any more.
    #[error("the server is shutting down and accepts no new requests")]
    Closed,
    /// The model failed on the batch.
    #[error("inference failed: {0}")]
    Inference(String),
}

/// How large a model's batches are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSizing {
    /// Most tokens of a batch of several sequences, its token budget; a longer sequence runs alone.
    pub batch_tokens: NonZeroUsize,
    /// The least tokens of a batch that runs on all cores when nothing else is there to run; none where it never pays.
    pub all_cores_from: Option<NonZeroUsize>,
}

/// The cores that a batch runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// That of the worker. As many batches as there are cores give the highest throughput.
    One,
    /// All of them, while the other workers stand still. It gives a lone long batch the shortest time.
    All,
}

/// What a worker runs.
pub trait Model: Send + Sync + 'static {
    /// Computes the logits of each sequence, in order; the same on one core as on all. Blocks; called on worker threads
    /// only, by at most as many at once as the scheduler has workers, and for [`Cores::All`] by one alone.
    ///
    /// # Errors
    /// What went wrong, for the whole batch.
    fn run(&self, batch: &[&Sequence], cores: Cores) -> Result<Vec<Vec<f32>>, String>;

    /// Whether a batch costs as if each of its sequences were as long as the longest: true of graphs that take padded
    /// inputs. The token budget then counts the padding too.
    fn pads_to_longest(&self) -> bool {
        false
    }
}
