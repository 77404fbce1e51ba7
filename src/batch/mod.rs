//! From waiting sequences to batches: one bounded queue a model, one pool of worker threads for all of them.
//!
//! A batch forms when a worker frees, never before: the worker takes the model whose most urgent sequence is the most
//! urgent of all, and fills the token budget with what waits near it in urgency and length.

mod output;
pub mod policy;
mod pool;
mod queue;
mod schedule;
mod scheduler;
mod sizing;
mod throughput;
mod worker;

#[cfg(test)]
mod tests;

pub use output::{BatchError, SequenceOutput};
pub use policy::{InvalidPriority, Priority};
pub use schedule::{Schedule, WhenFull};
pub use scheduler::{ModelQueue, QueueOptions, Scheduler, SchedulerOptions};
pub use sizing::BatchSizing;
