//! The interface to a model, which runs a batch of sequences on one core or on all.

use std::error::Error;
use std::sync::Arc;

use thiserror::Error;

/// One input of a model, special tokens included. It has at least one token, and as many type ids as tokens.
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

    /// Models accept no sequence without tokens.
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

/// Why a batch has no outputs. Cloned for each sequence of the batch.
#[derive(Clone, Debug, Error)]
pub enum InferenceError {
    #[error("{0}")]
    Model(#[source] Arc<dyn Error + Send + Sync>),
    /// The number of outputs differs from the number of sequences.
    #[error("the model returned {outputs} outputs for {sequences} sequences")]
    OutputCount { outputs: usize, sequences: usize },
    #[error("the model panicked: {0}")]
    Panicked(String),
    #[error("its worker has ended")]
    WorkerEnded,
}

/// Errors are equal if their messages are equal.
impl PartialEq for InferenceError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl InferenceError {
    /// Wraps an error that a model returned.
    pub fn model(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Model(Arc::from(error.into()))
    }
}

/// A model as workers use it.
pub trait Model: Send + Sync + 'static {
    /// Computes the logits of each sequence, in order. The logits do not depend on `cores`. Blocks. Only worker threads
    /// call it, at most one call per worker at a time. A call with [`Cores::All`] never overlaps another call.
    ///
    /// # Errors
    /// If the batch as a whole failed.
    fn run(&self, batch: &[&Sequence], cores: Cores) -> Result<Vec<Vec<f32>>, InferenceError>;

    /// Whether each sequence costs as much as the longest of its batch, as in graphs with padded inputs. The token
    /// budget then counts padding.
    fn pads_to_longest(&self) -> bool {
        false
    }
}
