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
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn count(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).expect("a positive number")
    }

    fn check(lengths: &[usize], tokens: usize, pads_to_longest: bool, expected: &[usize]) {
        let limit = BatchLimit {
            tokens: count(tokens),
            pads_to_longest,
        };
        assert_eq!(choose(lengths, limit), expected, "{lengths:?} in {limit:?}");
    }

    #[test]
    fn packed_batches() {
        check(&[], 10, false, &[]);
        check(&[4], 10, false, &[0]);
        // Nearest length first, whatever the order of arrival.
        check(&[10, 30, 11, 12], 33, false, &[0, 2, 3]);
        // Ties in length go to the more urgent.
        check(&[10, 12, 8], 22, false, &[0, 1]);
        // A sequence that does not fit is skipped in favour of one that does.
        check(&[10, 11, 3], 14, false, &[0, 2]);
        check(&[6, 4], 10, false, &[0, 1]);
        // A sequence longer than the budget runs alone.
        check(&[50, 1], 10, false, &[0]);
    }

    #[test]
    fn padded_batches_pay_for_their_padding() {
        check(&[2, 9], 11, false, &[0, 1]);
        check(&[2, 9], 11, true, &[0]);
        check(&[2, 9], 18, true, &[0, 1]);
        check(&[9, 2, 2], 18, true, &[0, 1]);
        check(&[4, 4, 4], 12, true, &[0, 1, 2]);
    }

    #[test]
    fn priority_then_deadline_then_arrival() {
        let now = Instant::now();
        let urgency = |priority: u8, seconds: u64, arrival: u64| Urgency {
            priority: Priority::try_from(priority).expect("a priority"),
            deadline: now + Duration::from_secs(seconds),
            arrival,
        };
        let order = [
            urgency(1, 9, 5),
            urgency(3, 1, 9),
            urgency(3, 2, 1),
            urgency(3, 2, 2),
            urgency(5, 0, 0),
        ];
        assert!(order.is_sorted());
    }

    #[test]
    fn priorities_are_one_to_five() {
        for number in 0..=u8::MAX {
            match Priority::try_from(number) {
                Ok(priority) => assert_eq!((1..=5).contains(&number), priority.get() == number),
                Err(error) => {
                    assert!(!(1..=5).contains(&number));
                    assert!(error.to_string().contains("1 (highest) to 5 (lowest)"));
                }
            }
        }
        assert_eq!(Priority::default().get(), 3);
    }

    #[test]
    fn free_workers_share_what_waits() {
        for (waiting, free, expected) in [
            (1000, 1, 512), // under load: the whole budget
            (600, 2, 300),
            (601, 2, 301),
            (4000, 2, 512), // never more than the budget
            (40, 4, 32),    // never less than pays
            (0, 2, 32),
        ] {
            assert_eq!(share(count(512), waiting, count(free)), count(expected));
        }
        assert_eq!(share(count(8), 600, count(2)), count(8));
    }

    proptest! {
        #[test]
        fn any_batch(
            lengths in prop::collection::vec(1_usize..600, 1..LOOK_AHEAD),
            tokens in 1_usize..2000,
            pads_to_longest: bool,
        ) {
            let chosen = choose(&lengths, BatchLimit { tokens: count(tokens), pads_to_longest });
            let cost = |positions: &[usize]| -> usize {
                let lengths = positions.iter().map(|&position| lengths[position]);
                if pads_to_longest {
                    lengths.max().unwrap_or(0) * positions.len()
                } else {
                    lengths.sum()
                }
            };

            prop_assert_eq!(chosen[0], 0, "the most urgent entry is always in");
            prop_assert!(chosen.len() == 1 || cost(&chosen) <= tokens);
            let mut distinct = chosen.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), chosen.len());
            let distances: Vec<usize> = chosen.iter().map(|&position| lengths[position].abs_diff(lengths[0])).collect();
            prop_assert!(distances.is_sorted());
            // Every sequence left behind would exceed the limit.
            for position in (0..lengths.len()).filter(|position| !chosen.contains(position)) {
                let mut fuller = chosen.clone();
                fuller.push(position);
                prop_assert!(cost(&fuller) > tokens);
            }
        }
    }
}
