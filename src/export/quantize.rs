//! Quantizes weights to int8: symmetric, one scale per output channel, small enough that no x86 kernel saturates.
//!
//! On x86 without VNNI, ONNX Runtime multiplies unsigned activations by signed weights with `vpmaddubsw`. It adds the
//! products of two neighbouring inputs in 16 bits and saturates: 255 · 127 · 2 is far above 32,767. So the magnitudes
//! of neighbouring weights are limited to a sum of 128. Then 255 · 128 = 32,640 always fits, and every processor
//! computes the same exact integer product. This costs less than one of the eight bits, because neighbouring weights
//! are seldom both large.

/// Limit on the sum of the magnitudes of two neighbouring weights.
const PAIR_LIMIT: f32 = 128.0;

/// Scales to try, as fractions of the smallest scale at which no pair exceeds the limit.
const SCALES: [f32; 8] = [0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0];

/// An int8 matrix, row-major like its input, with one scale per row.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedRows {
    /// `[rows][columns]`.
    pub values: Vec<i8>,
    /// Factors that turn a row's values back into floats, `[rows]`.
    pub scales: Vec<f32>,
}

/// Quantizes the weights of a linear layer, `[outputs][inputs]` as in PyTorch, for an integer product with unsigned
/// activations.
///
/// Of a few scales, each row gets the one with the least squared error. A finer scale is better for most weights and
/// worse for the few pairs that exceed the limit.
#[must_use]
pub fn linear_weights(weights: &[f32], inputs: usize) -> QuantizedRows {
    let mut quantized = QuantizedRows {
        values: Vec::with_capacity(weights.len()),
        scales: Vec::with_capacity(weights.len() / inputs),
    };
    for row in weights.chunks_exact(inputs) {
        let largest = row
            .chunks(2)
            .map(|pair| pair.iter().map(|weight| weight.abs()).sum())
            .fold(0.0, f32::max);
        let candidates = SCALES.iter().map(|share| {
            let scale = nonzero(largest * share / PAIR_LIMIT);
            let values = quantize_pairs(row, scale);
            (squared_error(row, &values, scale), scale, values)
        });
        if let Some((_, scale, values)) =
            candidates.min_by(|left, right| left.0.total_cmp(&right.0))
        {
            quantized.values.extend(values);
            quantized.scales.push(scale);
        }
    }
    quantized
}

/// Quantizes an embedding table, `[rows][width]`. Its rows are looked up and never multiplied in int8.
#[must_use]
pub fn embedding_table(table: &[f32], width: usize) -> QuantizedRows {
    let mut quantized = QuantizedRows {
        values: Vec::with_capacity(table.len()),
        scales: Vec::with_capacity(table.len() / width),
    };
    for row in table.chunks_exact(width) {
        let scale = nonzero(
            row.iter()
                .fold(0.0_f32, |largest, value| largest.max(value.abs()))
                / 127.0,
        );
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the scale bounds the quotient to ±127"
        )]
        quantized
            .values
            .extend(row.iter().map(|value| (value / scale).round() as i8));
        quantized.scales.push(scale);
    }
    quantized
}

/// Sums each output channel's dequantized weights over the inputs. A constant added to every activation adds this sum
/// times the constant to the output.
#[must_use]
pub fn channel_sums(quantized: &QuantizedRows, inputs: usize) -> Vec<f32> {
    let rows = quantized.values.chunks_exact(inputs).zip(&quantized.scales);
    rows.map(|(row, scale)| {
        let sum: i32 = row.iter().map(|value| i32::from(*value)).sum();
        // At most 2^24 inputs of magnitude 127: the sum needs 31 bits, which f64 holds exactly.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rounded to the precision that the graph computes in"
        )]
        let sum = (f64::from(sum) * f64::from(*scale)) as f32;
        sum
    })
    .collect()
}

/// Rounds a row's weights and reduces pairs that exceed the limit.
#[expect(
    clippy::cast_possible_truncation,
    reason = "both are clamped to the range of i8"
)]
fn quantize_pairs(row: &[f32], scale: f32) -> Vec<i8> {
    let mut values = Vec::with_capacity(row.len());
    for pair in row.chunks(2) {
        let rounded = |index: usize| {
            pair.get(index)
                .map_or(0.0, |weight| (weight / scale).round())
        };
        let (first, second) = (rounded(0), rounded(1));
        let excess = (first.abs() + second.abs() - PAIR_LIMIT).max(0.0);
        // Each weight loses half of the excess, the larger one the odd step; neither loses more than it has.
        let from_smaller = (excess / 2.0).floor().min(first.abs().min(second.abs()));
        let from_larger = excess - from_smaller;
        let (from_first, from_second) = if first.abs() >= second.abs() {
            (from_larger, from_smaller)
        } else {
            (from_smaller, from_larger)
        };
        let cut = |value: f32, by: f32| (value.abs() - by).min(127.0).copysign(value) as i8;
        values.push(cut(first, from_first));
        if pair.len() == 2 {
            values.push(cut(second, from_second));
        }
    }
    values
}

fn squared_error(row: &[f32], values: &[i8], scale: f32) -> f64 {
    row.iter()
        .zip(values)
        .map(|(weight, value)| f64::from(weight - f32::from(*value) * scale).powi(2))
        .sum()
}

/// A row of zeros, such as the padding token's embedding, can have any scale; 1 avoids a division by zero.
fn nonzero(scale: f32) -> f32 {
    if scale > 0.0 { scale } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn neighbouring_weights_never_saturate_sixteen_bits(weights in prop::collection::vec(-10.0_f32..10.0, 7 * 5)) {
            let quantized = linear_weights(&weights, 7);
            for row in quantized.values.chunks(7) {
                for pair in row.chunks(2) {
                    let sum: i32 = pair.iter().map(|value| i32::from(*value).abs()).sum();
                    prop_assert!(255 * sum <= i32::from(i16::MAX));
                }
            }
        }

        #[test]
        fn looked_up_values_are_within_half_a_step(table in prop::collection::vec(-3.0_f32..3.0, 6 * 4)) {
            let quantized = embedding_table(&table, 6);
            for (index, value) in table.iter().enumerate() {
                let scale = quantized.scales[index / 6];
                let restored = f32::from(quantized.values[index]) * scale;
                prop_assert!((restored - value).abs() <= scale * 0.5001);
            }
        }

        /// At the largest scale, a weight is half a step off, and one of a pair that rounds beyond the limit a step more. The
        /// scale that is chosen has no larger error in all.
        #[test]
        fn no_weights_lose_much(weights in prop::collection::vec(-3.0_f32..3.0, 64)) {
            let quantized = linear_weights(&weights, 64);
            let error = squared_error(&weights, &quantized.values, quantized.scales[0]);
            let sums = weights.chunks(2).map(|pair| pair[0].abs() + pair[1].abs());
            let step = f64::from(sums.fold(0.0, f32::max) / PAIR_LIMIT);
            let worst = 32.0 * (0.5_f64.powi(2) + 1.5_f64.powi(2)) * step.powi(2);
            prop_assert!(error <= worst * 1.001, "{error} > {worst}");
        }
    }

    #[test]
    fn usual_weights_lose_little() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..1000 {
            let weights: Vec<f32> = (0..64).map(|_| 6.0 * random.f32() - 3.0).collect();
            let quantized = linear_weights(&weights, 64);
            let error = squared_error(&weights, &quantized.values, quantized.scales[0]);
            let energy: f64 = weights
                .iter()
                .map(|weight| f64::from(*weight).powi(2))
                .sum();
            assert!(error <= energy * 1e-4, "{error} of {energy}");
        }
    }

    #[test]
    fn a_pair_above_the_limit_loses_from_both_and_keeps_its_signs() {
        let check = |pair: &[f32], expected: &[i8]| assert_eq!(quantize_pairs(pair, 1.0), expected);
        check(&[100.0, -60.0], &[84, -44]);
        check(&[-3.0, 130.0], &[-1, 127]);
        check(&[0.0, 200.0], &[0, 127]);
        check(&[64.0, 64.0], &[64, 64]);
        check(&[-140.0], &[-127]);
    }

    #[test]
    fn rows_of_zeros_stay_zero() {
        let quantized = embedding_table(&[0.0, 0.0, 1.0, -2.0], 2);
        assert_eq!(quantized.values, [0, 0, 64, -127]);
        assert!(
            quantized
                .scales
                .iter()
                .all(|scale| scale.is_finite() && *scale > 0.0)
        );
    }

    #[test]
    fn channel_sums_are_those_of_the_dequantized_weights() {
        let quantized = QuantizedRows {
            values: vec![1, 2, -3, 100, 100, 100],
            scales: vec![0.5, 0.25],
        };
        assert_eq!(channel_sums(&quantized, 3), [0.0, 75.0]);
    }
}
