//! Products of unsigned activation bytes with signed weight bytes: exact 32-bit sums, scaled to floats at once.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::WrongSize;
use super::byte_weights::{ByteWeights, DEPTH, Rows};

#[cfg(target_arch = "x86_64")]
pub use super::x86::multiplies_bytes;

/// Whether this processor's kernel is at least as fast as ONNX Runtime's. Off x86-64 there is no kernel for these
/// products.
#[cfg(not(target_arch = "x86_64"))]
#[must_use]
pub fn multiplies_bytes() -> bool {
    false
}

impl ByteWeights {
    /// Multiplies `rows`, `[rows, inputs]`, less `zero_point`, with the weights, and scales the sums by `scales`,
    /// `[outputs]`, into `products`, `[rows, outputs]`. Sums are exact up to 2^16 inputs.
    ///
    /// # Errors
    /// If `rows`, `scales` or `products` has the wrong size.
    pub fn multiply(
        &self,
        rows: &[u8],
        zero_point: u8,
        scales: &[f32],
        products: &mut [f32],
    ) -> Result<(), WrongSize> {
        let [inputs, outputs] = self.shape();
        let whole = rows.len().is_multiple_of(inputs);
        let count = rows.len() / inputs;
        if !whole || products.len() != count * outputs || scales.len() != outputs {
            return Err(WrongSize);
        }
        let rows = Rows {
            weights: self,
            bytes: rows,
            zero_point,
            scales,
        };
        multiply(rows, products);
        Ok(())
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512vnni", "x86_64+avx2+fma"))]
fn multiply(rows: Rows, products: &mut [f32]) {
    match_target! {
        "x86_64+avx512f+avx512bw+avx512vl+avx512vnni" => super::x86::vnni::multiply(rows, products),
        "x86_64+avx2+fma" => super::x86::avx2::multiply(rows, products),
        _ => multiply_anywhere(rows, products),
    }
}

/// The fallback for processors without VNNI or AVX2.
#[expect(
    clippy::cast_precision_loss,
    reason = "a sum's rounding is far below that of the bytes it is made of"
)]
fn multiply_anywhere(rows: Rows, products: &mut [f32]) {
    let [inputs, outputs] = rows.weights.shape();
    for (first, panel) in rows.weights.panels() {
        let scales = rows.scales(first);
        let all = rows.bytes.chunks_exact(inputs);
        for (bytes, products) in all.zip(products.chunks_exact_mut(outputs)) {
            let mut sums = rows.weights.first_sums(first, rows.zero_point);
            for (bytes, step) in bytes.chunks(DEPTH).zip(panel) {
                for (sum, weights) in sums.iter_mut().zip(step.0.chunks_exact(DEPTH)) {
                    let parts = bytes.iter().zip(weights);
                    *sum += parts
                        .map(|(byte, weight)| i32::from(*byte) * i32::from(*weight))
                        .sum::<i32>();
                }
            }
            let columns = sums.iter().zip(&scales);
            for (product, (sum, scale)) in products[first..].iter_mut().zip(columns) {
                *product = *sum as f32 * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    type Multiply = fn(Rows, &mut [f32]);

    /// Every implementation that this processor can run, not only the fastest.
    fn ways() -> Vec<(&'static str, Multiply)> {
        vec![
            ("the fastest", multiply),
            ("AVX2", by_avx2),
            ("any", multiply_anywhere),
        ]
    }

    #[multiversion(targets("x86_64+avx2+fma"))]
    fn by_avx2(rows: Rows, products: &mut [f32]) {
        match_target! {
            "x86_64+avx2+fma" => super::super::x86::avx2::multiply(rows, products),
            _ => multiply_anywhere(rows, products),
        }
    }

    /// Row counts of one tile, several tiles and part of one; inputs and outputs that fill steps and panels, and that
    /// do not.
    const SHAPES: [[usize; 3]; 7] = [
        [1, 4, 32],
        [8, 16, 64],
        [9, 7, 1],
        [3, 1, 33],
        [23, 130, 47],
        [64, 256, 96],
        [17, 64, 16],
    ];

    #[test]
    fn products_are_exact() {
        let mut rng = Rng::with_seed(7);
        for [count, inputs, outputs] in SHAPES {
            let weights: Vec<i8> = (0..inputs * outputs).map(|_| rng.i8(-64..=64)).collect();
            let bytes: Vec<u8> = (0..count * inputs).map(|_| rng.u8(..)).collect();
            let scales: Vec<f32> = (0..outputs).map(|_| rng.f32()).collect();
            let laid_out = ByteWeights::new([inputs, outputs], &weights);
            for zero_point in [0, 1, 128, 255] {
                let exact = |row: usize, column: usize| {
                    let sum: i32 = (0..inputs)
                        .map(|input| {
                            let byte = i32::from(bytes[row * inputs + input]);
                            let weight = i32::from(weights[input * outputs + column]);
                            (byte - i32::from(zero_point)) * weight
                        })
                        .sum();
                    #[expect(clippy::cast_precision_loss, reason = "as in the kernel")]
                    let sum = sum as f32;
                    sum * scales[column]
                };
                let expected: Vec<f32> = (0..count * outputs)
                    .map(|place| exact(place / outputs, place % outputs))
                    .collect();
                let rows = Rows {
                    weights: &laid_out,
                    bytes: &bytes,
                    zero_point,
                    scales: &scales,
                };
                for (name, multiply) in ways() {
                    let mut products = vec![f32::NAN; count * outputs];
                    multiply(rows, &mut products);
                    assert_eq!(
                        products, expected,
                        "{count} x {inputs} x {outputs} by {name}"
                    );
                }
            }
        }
    }

    /// The greatest possible sums of 3,072 inputs, the width of base's feed-forward layer: beyond 16 bits and far below
    /// 32.
    #[test]
    fn the_greatest_bytes_do_not_saturate() {
        let inputs = 3072;
        let laid_out = ByteWeights::new([inputs, 1], &vec![-64; inputs]);
        let rows = Rows {
            weights: &laid_out,
            bytes: &vec![255; inputs],
            zero_point: 0,
            scales: &[1.0],
        };
        for (name, multiply) in ways() {
            let mut products = [0.0_f32];
            multiply(rows, &mut products);
            assert_eq!(
                products[0].to_bits(),
                (-50_135_040.0_f32).to_bits(),
                "{name}"
            );
        }
    }

    #[test]
    fn other_sizes_are_refused() {
        let weights = ByteWeights::new([4, 2], &[1; 8]);
        let check = |bytes: usize, scales: usize, products: usize, expected| {
            let mut products = vec![0.0; products];
            let found = weights.multiply(&vec![1; bytes], 0, &vec![1.0; scales], &mut products);
            assert_eq!(found, expected);
        };
        check(8, 2, 4, Ok(()));
        check(0, 2, 0, Ok(()));
        check(7, 2, 4, Err(WrongSize));
        check(8, 1, 4, Err(WrongSize));
        check(8, 2, 2, Err(WrongSize));
    }
}
