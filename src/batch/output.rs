//! What a request gets: an output for each sequence, or the reason why not.

use std::time::Duration;

use thiserror::Error;

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
