//! Batching: one bounded queue per model, and one pool of worker threads for all models.
//!
//! A batch forms when a worker becomes free, never earlier. The worker picks the model with the most urgent waiting
//! sequence, then fills the token budget with sequences close to it in urgency and length.

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
