//! Decides what runs next: the order of urgency, and which waiting sequences share a batch. Pure functions.

use std::num::NonZeroUsize;
use std::time::Instant;

use thiserror::Error;

/// The number of a queue's most urgent entries that are candidates for one batch. Enough to find similar lengths, and
/// few enough that forming a batch costs the same whether ten or ten thousand sequences wait.
pub const LOOK_AHEAD: usize = 64;

/// The fewest tokens to which a batch is cut so that other free workers get a share. On the CPU, a core reaches its
/// full rate at about 32 tokens per batch, so smaller shares cost more than they gain.
const SMALLEST_SHARE: usize = 32;

/// A request's priority, from 1 (highest) to 5 (lowest). The default is 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

/// A priority outside 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("priority {0} is out of range: use a number from 1 (highest) to 5 (lowest)")]
pub struct InvalidPriority(pub u8);

impl Priority {
    pub const HIGHEST: Self = Self(1);
    /// Runs only if nothing more urgent waits.
    pub const LOWEST: Self = Self(5);

    /// The priority as a number, 1 (highest) to 5 (lowest).
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(3)
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidPriority;

    fn try_from(number: u8) -> Result<Self, InvalidPriority> {
        if (Self::HIGHEST.0..=Self::LOWEST.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidPriority(number))
        }
    }
}

/// The sort key of a waiting sequence: priority, then deadline, then arrival. Smaller is more urgent. Arrivals are
/// unique, so no two keys are equal.
///
/// Nothing starves within a priority: over time, an entry's deadline becomes the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Urgency {
    pub priority: Priority,
    /// The time after which the answer is useless.
    pub deadline: Instant,
    /// A counter that increases with each sequence that the process accepts.
    pub arrival: u64,
}

/// The capacity of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimit {
    /// The most tokens in a batch of several sequences.
    pub tokens: NonZeroUsize,
    /// Whether each sequence costs as many tokens as the longest of its batch (padded graphs) or as many as it has
    /// (packed graphs).
    pub pads_to_longest: bool,
}

/// Chooses a batch. `lengths` are the token counts of the waiting sequences, most urgent first. Returns distinct
/// indices into `lengths`: first the most urgent sequence, which is always chosen, then others that fit. Those nearest
/// to it in length come first, and ties go to the more urgent. A sequence longer than the limit runs alone.
#[must_use]
pub fn choose(lengths: &[usize], limit: BatchLimit) -> Vec<usize> {
    let Some(&seed) = lengths.first() else {
        return Vec::new();
    };
    let mut others: Vec<usize> = (1..lengths.len()).collect();
    // A stable sort keeps the order of urgency among ties.
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
