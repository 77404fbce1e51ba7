//! The interface to a model: runs a batch of sequences on one core or all.

use std::error::Error;
use std::sync::Arc;

use thiserror::Error;

/// One input of a model, special tokens included. Has at least one token, and as many type ids as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
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

    /// Whether it has no tokens. Models accept no such sequence.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// The worker's own core. One batch per core gives the highest throughput.
    One,
    /// All cores, while the other workers wait. This gives a lone long batch the lowest latency.
    All,
}

/// Why a batch has no outputs. Cloned for each of its sequences.
#[derive(Clone, Debug, Error)]
pub enum InferenceError {
    /// The model failed.
    #[error("{0}")]
    Model(#[source] Arc<dyn Error + Send + Sync>),
    /// The model returned outputs for another number of sequences.
    #[error("the model returned {outputs} outputs for {sequences} sequences")]
    OutputCount { outputs: usize, sequences: usize },
    /// The model panicked.
    #[error("the model panicked: {0}")]
    Panicked(String),
    /// The thread that ran the batch ended.
    #[error("its worker has ended")]
    WorkerEnded,
}

/// Errors are equal if they say the same.
impl PartialEq for InferenceError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl InferenceError {
    /// The error of a model that failed.
    pub fn model(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Model(Arc::from(error.into()))
    }
}

/// A model as workers see it.
pub trait Model: Send + Sync + 'static {
    /// Computes the logits of each sequence, in order. The logits do not depend on `cores`. Blocks. Only worker threads
    /// call it, at most as many at once as the scheduler has workers. A call with [`Cores::All`] is the only one at its
    /// time.
    ///
    /// # Errors
    /// If the batch as a whole failed.
    fn run(&self, batch: &[&Sequence], cores: Cores) -> Result<Vec<Vec<f32>>, InferenceError>;

    /// Whether a batch costs as if each of its sequences were as long as the longest, as in graphs with padded inputs.
    /// The token budget then counts padding.
    fn pads_to_longest(&self) -> bool {
        false
    }
}
