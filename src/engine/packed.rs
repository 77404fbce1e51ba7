//! The packed layout: the tokens of all sequences back to back, and the start of each sequence.

use std::ops::Range;

use crate::inference::Sequence;
use crate::numbers::signed;

/// The inputs of a packed graph for one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedBatch {
    /// `[tokens]`.
    pub input_ids: Vec<i64>,
    /// `[tokens]`.
    pub token_type_ids: Vec<i64>,
    /// `[tokens]`, from 0 in each sequence.
    pub position_ids: Vec<i64>,
    /// `[sequences + 1]`: the start of each sequence, and last the number of tokens.
    pub sequence_starts: Vec<i64>,
}

impl PackedBatch {
    /// Packs sequences in the given order.
    #[must_use]
    pub fn new(sequences: &[&Sequence]) -> Self {
        let tokens = sequences.iter().map(|sequence| sequence.len()).sum();
        let mut batch = Self {
            input_ids: Vec::with_capacity(tokens),
            token_type_ids: Vec::with_capacity(tokens),
            position_ids: Vec::with_capacity(tokens),
            sequence_starts: Vec::with_capacity(sequences.len() + 1),
        };
        for sequence in sequences {
            batch.sequence_starts.push(signed(batch.input_ids.len()));
            batch
                .input_ids
                .extend(sequence.ids.iter().map(|id| i64::from(*id)));
            batch
                .token_type_ids
                .extend(sequence.type_ids.iter().map(|id| i64::from(*id)));
            batch.position_ids.extend((0..sequence.len()).map(signed));
        }
        batch.sequence_starts.push(signed(tokens));
        batch
    }

    /// The rows of each sequence's tokens.
    pub fn token_rows(sequences: &[&Sequence]) -> impl Iterator<Item = Range<usize>> {
        sequences.iter().scan(0, |start, sequence| {
            let rows = *start..*start + sequence.len();
            *start = rows.end;
            Some(rows)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_stand_one_after_another() {
        let first = Sequence {
            ids: vec![2, 7, 3],
            type_ids: vec![0, 0, 0],
        };
        let second = Sequence {
            ids: vec![2, 3],
            type_ids: vec![0, 1],
        };
        let sequences = [&first, &second];
        let batch = PackedBatch::new(&sequences);
        assert_eq!(batch.input_ids, [2, 7, 3, 2, 3]);
        assert_eq!(batch.token_type_ids, [0, 0, 0, 0, 1]);
        assert_eq!(batch.position_ids, [0, 1, 2, 0, 1]);
        assert_eq!(batch.sequence_starts, [0, 3, 5]);
        assert_eq!(
            PackedBatch::token_rows(&sequences).collect::<Vec<_>>(),
            [0..3, 3..5]
        );
    }
}
