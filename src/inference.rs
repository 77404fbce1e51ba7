//! What a worker runs: a model, on some sequences and some cores.

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
