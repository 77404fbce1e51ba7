//! The padded layout: one row per sequence, all as long as the longest, and a mask that separates tokens from padding.

use std::ops::Range;

use crate::inference::Sequence;
use crate::numbers::signed;

/// The value of padding in every input. The mask keeps padding out of every answer, so any id of the vocabulary would
/// do.
const PADDING: i64 = 0;

/// An input that a padded graph may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaddedInput {
    InputIds,
    /// 1 for tokens, 0 for padding.
    AttentionMask,
    /// 0 for the first text, 1 for the second.
    TokenTypeIds,
    /// Counted from 0 in each sequence.
    PositionIds,
}

impl PaddedInput {
    pub const ALL: [Self; 4] = [
        Self::InputIds,
        Self::AttentionMask,
        Self::TokenTypeIds,
        Self::PositionIds,
    ];

    /// The input's name in graphs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InputIds => "input_ids",
            Self::AttentionMask => "attention_mask",
            Self::TokenTypeIds => "token_type_ids",
            Self::PositionIds => "position_ids",
        }
    }
}

/// A batch in the padded layout: `[sequences, longest]` values per input.
#[derive(Clone, Copy, Debug)]
pub struct PaddedBatch<'a> {
    sequences: &'a [&'a Sequence],
    longest: usize,
}

impl<'a> PaddedBatch<'a> {
    /// Keeps the order of the sequences.
    #[must_use]
    pub fn new(sequences: &'a [&'a Sequence]) -> Self {
        let lengths = sequences.iter().map(|sequence| sequence.len());
        Self {
            sequences,
            longest: lengths.max().unwrap_or(0),
        }
    }

    /// `[sequences, longest]`, the latter in tokens.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.sequences.len(), self.longest]
    }

    /// The values of an input, row-major.
    #[must_use]
    pub fn values(&self, input: PaddedInput) -> Vec<i64> {
        let mut values = Vec::with_capacity(self.sequences.len() * self.longest);
        for sequence in self.sequences {
            match input {
                PaddedInput::InputIds => {
                    values.extend(sequence.ids.iter().map(|&id| i64::from(id)));
                }
                PaddedInput::AttentionMask => values.extend(sequence.ids.iter().map(|_| 1)),
                PaddedInput::TokenTypeIds => {
                    values.extend(sequence.type_ids.iter().map(|&id| i64::from(id)));
                }
                PaddedInput::PositionIds => values.extend((0..sequence.len()).map(signed)),
            }
            let padding = self.longest - sequence.len();
            values.extend(std::iter::repeat_n(PADDING, padding));
        }
        values
    }

    /// The rows of each sequence's tokens in an output of `[sequences * longest]` rows.
    pub fn token_rows(&self) -> impl Iterator<Item = Range<usize>> {
        let longest = self.longest;
        let starts = self.sequences.iter().enumerate();
        starts.map(move |(index, sequence)| index * longest..index * longest + sequence.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_sequences_are_filled_up_and_masked() {
        let first = Sequence {
            ids: vec![2, 3],
            type_ids: vec![0, 1],
        };
        let second = Sequence {
            ids: vec![2, 7, 9, 3],
            type_ids: vec![0, 0, 1, 1],
        };
        let sequences = [&first, &second];
        let batch = PaddedBatch::new(&sequences);
        assert_eq!(batch.shape(), [2, 4]);
        for (input, expected) in PaddedInput::ALL.into_iter().zip([
            [2, 3, 0, 0, 2, 7, 9, 3],
            [1, 1, 0, 0, 1, 1, 1, 1],
            [0, 1, 0, 0, 0, 0, 1, 1],
            [0, 1, 0, 0, 0, 1, 2, 3],
        ]) {
            assert_eq!(batch.values(input), expected, "{}", input.name());
        }
        assert_eq!(batch.token_rows().collect::<Vec<_>>(), [0..2, 4..8]);
    }
}
