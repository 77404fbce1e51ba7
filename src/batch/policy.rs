//! Decides which waiting sequences share a batch. Pure functions.

use std::num::NonZeroUsize;

/// The number of sequences, in the order of their turns, that are candidates for one batch. Enough to find similar lengths, and
/// few enough that forming a batch costs the same whether ten or ten thousand sequences wait.
pub const LOOK_AHEAD: usize = 64;

/// The fewest tokens to which a batch is cut so that other free workers get a share. On the CPU, a core reaches its
/// full rate at about 32 tokens per batch, so smaller shares cost more than they gain.
const SMALLEST_SHARE: usize = 32;

/// The capacity of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimit {
    /// The most tokens in a batch of several sequences.
    pub tokens: NonZeroUsize,
    /// Whether each sequence costs as many tokens as the longest of its batch (padded graphs) or as many as it has
    /// (packed graphs).
    pub pads_to_longest: bool,
}

/// Chooses a batch. `lengths` are the token counts of waiting sequences in the order of their turns. Returns distinct
/// indices into `lengths`: first the first sequence, which is always chosen, then others that fit. Those nearest to it in
/// length come first, and ties go to the earlier turn. A sequence longer than the limit runs alone.
#[must_use]
pub fn choose(lengths: &[usize], limit: BatchLimit) -> Vec<usize> {
    let Some(&seed) = lengths.first() else {
        return Vec::new();
    };
    let mut others: Vec<usize> = (1..lengths.len()).collect();
    // A stable sort keeps the order of turns among ties.
    others.sort_by_key(|&position| lengths[position].abs_diff(seed));

    let mut chosen = vec![0];
    let (mut total, mut longest) = (seed, seed);
    for position in others {
        let length = lengths[position];
        let cost = if limit.pads_to_longest {
            (chosen.len() + 1).saturating_mul(longest.max(length))
        } else {
            total.saturating_add(length)
        };
        if cost <= limit.tokens.get() {
            chosen.push(position);
            total += length;
            longest = longest.max(length);
        }
    }
    chosen
}

/// The token budget of a batch. `free_workers` includes the worker that forms it, and `waiting_tokens` includes the
/// batch's own. Under load this is the whole `budget`. If more workers are free, it is a fair share, so that one
/// request of many sequences uses every core.
#[must_use]
pub fn share(
    budget: NonZeroUsize,
    waiting_tokens: usize,
    free_workers: NonZeroUsize,
) -> NonZeroUsize {
    let fair = waiting_tokens.div_ceil(free_workers.get());
    NonZeroUsize::new(fair.max(SMALLEST_SHARE)).map_or(budget, |share| share.min(budget))
}

#[cfg(test)]
mod tests;
