//! Self-attention of one sequence: softmax(Q Kᵀ / √size) V in each head. Reads no rows of other sequences.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::dispatch::dispatch;
use super::functions::exp;
use super::panels::{Panels, ROWS};
use super::product::Product;
use crate::numbers::float32;

/// How attention divides a row among its heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    pub count: usize,
    /// Width of one head.
    pub size: usize,
}

impl Heads {
    /// Width of all heads together.
    #[must_use]
    pub fn width(self) -> usize {
        self.count * self.size
    }
}

/// Computes the attention outputs of some of a sequence's tokens into `context`, `[queries, width]`. A row of
/// `query_key_value` holds a token's queries, keys and values, `width` each. `sequence` is the range of the sequence's
/// rows, `queries` the range of rows to compute.
///
/// # Panics
/// If `query_key_value` has too few rows for `sequence`, or `context` has the wrong size.
pub fn attend(
    query_key_value: &Product,
    heads: Heads,
    sequence: &Range<usize>,
    queries: Range<usize>,
    context: &mut [f32],
) {
    assert_eq!(context.len(), queries.len() * heads.width());
    let sequence = AttentionSequence {
        query_key_value,
        heads,
        rows: sequence,
    };
    dispatch(Attend {
        sequence,
        queries,
        context,
    });
}

struct Attend<'a> {
    sequence: AttentionSequence<'a>,
    queries: Range<usize>,
    context: &'a mut [f32],
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Heads { count, size } = self.sequence.heads;
        let (width, length) = (size * count, self.sequence.rows.len());
        let (mut keys, mut values) = (Panels::default(), Panels::default());
        let mut queries = vec![0.0; ROWS * size];
        let (mut scores, mut gathered) = (Vec::new(), Vec::new());
        for columns in (0..count).map(|head| head * size..(head + 1) * size) {
            self.sequence.pack::<S>(&columns, &mut keys, &mut values);
            scores.resize(ROWS * keys.padded_columns(), 0.0);
            gathered.resize(ROWS * values.padded_columns(), 0.0);
            let contexts = self.context.chunks_mut(ROWS * width);
            for (first, contexts) in self.queries.clone().step_by(ROWS).zip(contexts) {
                let used = contexts.len() / width;
                let rows = first..first + used;
                self.sequence.load_queries(rows, &columns, &mut queries);
                let rows = rows_of(&queries, size, size);
                keys.multiply(simd, rows, used, &mut scores);
                let mut shares = [0.0; ROWS];
                let weights = scores.chunks_exact_mut(keys.padded_columns());
                for (share, weights) in shares.iter_mut().zip(weights).take(used) {
                    *share = 1.0 / softmax(simd, weights, length);
                }
                let rows = rows_of(&scores, keys.padded_columns(), length);
                values.multiply(simd, rows, used, &mut gathered);
                let gathered = gathered.chunks_exact(values.padded_columns());
                let contexts = contexts.chunks_exact_mut(width);
                for ((context, gathered), share) in contexts.zip(gathered).zip(shares) {
                    for (context, gathered) in context[columns.clone()].iter_mut().zip(gathered) {
                        *context = gathered * share;
                    }
                }
            }
        }
    }
}

/// The query, key and value rows of one sequence.
#[derive(Clone, Copy)]
struct AttentionSequence<'a> {
    query_key_value: &'a Product<'a>,
    heads: Heads,
    rows: &'a Range<usize>,
}

impl AttentionSequence<'_> {
    /// Packs the keys and values of the head that has these columns.
    #[inline(always)]
    fn pack<S: Simd>(&self, columns: &Range<usize>, keys: &mut Panels, values: &mut Panels) {
        keys.reset::<S>(columns.len(), self.rows.len());
        values.reset::<S>(self.rows.len(), columns.len());
        let [key_columns, value_columns] = [1, 2].map(|part| self.part(columns, part));
        let bias = self.query_key_value.bias;
        let (key_bias, value_bias) = (&bias[key_columns.clone()], &bias[value_columns.clone()]);
        for (token, row) in self.rows.clone().enumerate() {
            let scale = self.query_key_value.scale(row);
            let row = self.query_key_value.row(row);
            keys.set_column(token, &row[key_columns.clone()], scale, key_bias);
            values.set_row(token, &row[value_columns.clone()], scale, value_bias);
        }
    }

    /// Loads the queries of `rows`, divided by √size.
    #[inline(always)]
    fn load_queries(&self, rows: Range<usize>, columns: &Range<usize>, queries: &mut [f32]) {
        let factor = 1.0 / float32(columns.len()).sqrt();
        let bias = &self.query_key_value.bias[columns.clone()];
        for (row, queries) in rows.zip(queries.chunks_exact_mut(columns.len())) {
            let scale = self.query_key_value.scale(row);
            let row = &self.query_key_value.row(row)[columns.clone()];
            for ((query, value), bias) in queries.iter_mut().zip(row).zip(bias) {
                *query = (value * scale + bias) * factor;
            }
        }
    }

    /// Returns a head's columns among the keys (part 1) or the values (part 2).
    #[inline(always)]
    fn part(&self, columns: &Range<usize>, part: usize) -> Range<usize> {
        let offset = part * self.heads.width();
        columns.start + offset..columns.end + offset
    }
}

#[inline(always)]
fn rows_of(matrix: &[f32], stride: usize, width: usize) -> [&[f32]; ROWS] {
    std::array::from_fn(|row| &matrix[row * stride..][..width])
}

/// Replaces the first `length` scores of a row by e^(score - maximum), sets the others to 0, and returns the sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], length: usize) -> f32 {
    scores[length..].fill(f32::NEG_INFINITY);
    let (vectors, _) = S::as_mut_simd_f32s(scores);
    let mut greatest = simd.splat_f32s(f32::NEG_INFINITY);
    for scores in &*vectors {
        greatest = simd.max_f32s(greatest, *scores);
    }
    let greatest = simd.splat_f32s(simd.reduce_max_f32s(greatest));
    for scores in vectors {
        *scores = exp(simd, simd.sub_f32s(*scores, greatest));
    }
    scores[length..].fill(0.0);
    let (vectors, _) = S::as_simd_f32s(scores);
    let mut sum = simd.splat_f32s(0.0);
    for weights in vectors {
        sum = simd.add_f32s(sum, *weights);
    }
    simd.reduce_sum_f32s(sum)
}
