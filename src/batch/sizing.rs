//! How large a model's batches are.

use std::num::NonZeroUsize;

/// How large a model's batches are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSizing {
    /// Most tokens of a batch of several sequences, its token budget; a longer sequence runs alone.
    pub batch_tokens: NonZeroUsize,
    /// The least tokens of a batch that runs on all cores when nothing else is there to run; none where it never pays.
    pub all_cores_from: Option<NonZeroUsize>,
}
