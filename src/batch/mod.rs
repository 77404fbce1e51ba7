//! Batching: the waiting sequences of all models, in fair order, and the pool of worker threads that run them.
//!
//! A batch forms when a worker becomes free, never earlier. The worker takes the sequence whose turn it is, and fills the
//! token budget with sequences of the same model that are close to it in turn and length.

mod admission;
mod backlog;
mod fair_order;
mod output;
pub mod policy;
mod pool;
mod priority;
mod queue;
mod schedule;
mod scheduler;
mod size;
mod sizing;
mod throughput;
mod turns;
mod virtual_time;
mod worker;

#[cfg(test)]
mod tests;

pub use output::{BatchError, SequenceOutput};
pub use priority::{InvalidPriority, Priority, PriorityAccess};
pub use schedule::{Schedule, WhenFull};
pub use scheduler::{AdmittedRequest, Gate, ModelQueue, QueueOptions, Scheduler, SchedulerOptions};
pub use size::RequestSize;
pub use sizing::BatchSizing;
