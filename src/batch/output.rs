//! The result of a request: an output per sequence, or an error.

use std::time::Duration;

use thiserror::Error;

use crate::inference::InferenceError;

#[derive(Debug, Clone, PartialEq)]
pub struct SequenceOutput {
    /// One row of labels per token (token heads), or one row (sequence heads).
    pub logits: Vec<f32>,
    /// Time that the sequence waited for a worker.
    pub queue_time: Duration,
    /// Run time of its batch.
    pub inference_time: Duration,
}

#[derive(Debug, Clone, PartialEq, Error)]
pub enum BatchError {
    /// The request would wait too long for its first batch, or too many sequences wait.
    #[error("the queue is full: try again in {} s", retry_after.as_secs_f64().ceil())]
    QueueFull {
        /// Estimated time until there is room, with a random part, so that not all come back at once.
        retry_after: Duration,
    },
    /// At the measured rate, the request's answer would not be ready by its deadline.
    #[error("the request needs about {} s, longer than its deadline allows", needed.as_secs_f64().ceil())]
    DeadlineTooShort {
        needed: Duration,
        /// As in [`Self::QueueFull`].
        retry_after: Duration,
    },
    /// The deadline passed before all outputs were complete.
    #[error("the request's deadline passed before its answer was ready")]
    DeadlineExceeded,
    /// The scheduler is closed and accepts no requests.
    #[error("the server is shutting down and accepts no new requests")]
    Closed,
    /// The model failed on the batch.
    #[error("inference failed: {0}")]
    Inference(#[from] InferenceError),
}
