//! The batch sizes that suit a model.

use std::num::NonZeroUsize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSizing {
    /// The token budget: the most tokens in a batch of several sequences. A longer sequence runs alone.
    pub batch_tokens: NonZeroUsize,
    /// A batch of at least this many tokens runs on all cores if nothing else runs or waits. `None` if that never pays.
    pub all_cores_from: Option<NonZeroUsize>,
}
