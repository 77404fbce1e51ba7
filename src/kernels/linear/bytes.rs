//! Weights of signed bytes, which multiply rows of unsigned ones: exact 32-bit sums, which are scaled to floats at once.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::WrongSize;

/// Columns of a panel of weights.
pub(super) const COLUMNS: usize = 32;
/// Neighbouring inputs whose products are added in one step.
pub(super) const DEPTH: usize = 4;

/// The weights of one step, `[COLUMNS, DEPTH]`.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Step(pub [i8; COLUMNS * DEPTH]);

/// A layer's weights as signed bytes.
pub struct ByteWeights {
    /// Panels of [`COLUMNS`] outputs, each `[inputs / DEPTH]`, filled up with zeros.
    steps: Vec<Step>,
    /// What each output's weights add up to, those that fill up included.
    sums: Vec<i32>,
    inputs: usize,
    outputs: usize,
}

/// Rows to multiply with weights.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub weights: &'a ByteWeights,
    /// `[rows, inputs]`.
    pub bytes: &'a [u8],
    /// What is taken off each byte.
    pub zero_point: u8,
    /// `[outputs]`.
    pub scales: &'a [f32],
}

impl ByteWeights {
    /// Lays out weights of `[inputs, outputs]`, row after row. Two neighbours in a column, from an even row on, add up to at
    /// most 128 in magnitude: AVX2 adds their products in 16 bits.
    ///
    /// # Panics
    /// Where there are more or fewer, or none.
    #[must_use]
    pub fn new([inputs, outputs]: [usize; 2], weights: &[i8]) -> Self {
        assert_eq!(weights.len(), inputs * outputs);
        let depth = inputs.div_ceil(DEPTH);
        let panels = outputs.div_ceil(COLUMNS);
        let mut steps = vec![Step([0; COLUMNS * DEPTH]); panels * depth];
        let mut sums = vec![0; panels * COLUMNS];
        for (input, row) in weights.chunks_exact(outputs).enumerate() {
            for (panel, row) in row.chunks(COLUMNS).enumerate() {
                let step = &mut steps[panel * depth + input / DEPTH];
                let sums = &mut sums[panel * COLUMNS..];
                for (column, (weight, sum)) in row.iter().zip(sums).enumerate() {
                    step.0[column * DEPTH + input % DEPTH] = *weight;
                    *sum += i32::from(*weight);
                }
            }
        }
        Self {
            steps,
            sums,
            inputs,
            outputs,
        }
    }

    /// The width of a row, and of its product.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.inputs, self.outputs]
    }

    /// Multiplies rows, `[rows, inputs]`, of which `zero_point` is taken off first, and their products by `scales`,
    /// `[outputs]`, into `products`, `[rows, outputs]`. Sums are exact up to 2^16 inputs.
    ///
    /// # Errors
    /// Where any of them has another size.
    pub fn multiply(
        &self,
        rows: &[u8],
        zero_point: u8,
        scales: &[f32],
        products: &mut [f32],
    ) -> Result<(), WrongSize> {
        let whole = rows.len().is_multiple_of(self.inputs);
        let count = rows.len() / self.inputs;
        if !whole || products.len() != count * self.outputs || scales.len() != self.outputs {
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

    /// The panels, each with its first column.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, &[Step])> {
        let panels = self.steps.chunks_exact(self.inputs.div_ceil(DEPTH));
        (0..).step_by(COLUMNS).zip(panels)
    }

    /// What the sums of a panel's columns begin with, so that `zero_point` is off each byte in the end.
    pub(super) fn first_sums(&self, first: usize, zero_point: u8) -> [i32; COLUMNS] {
        std::array::from_fn(|column| -i32::from(zero_point) * self.sums[first + column])
    }
}

impl Rows<'_> {
    /// The scales of a panel's columns; of those that fill up, zero.
    pub fn scales(&self, first: usize) -> [f32; COLUMNS] {
        std::array::from_fn(|column| self.scales.get(first + column).copied().unwrap_or(0.0))
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

/// On a processor that no faster way is written for.
#[expect(
    clippy::cast_precision_loss,
    reason = "a sum's rounding is far below that of the bytes it is made of"
)]
fn multiply_anywhere(rows: Rows, products: &mut [f32]) {
    let ByteWeights {
        inputs, outputs, ..
    } = *rows.weights;
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

    /// All that this processor can do, not only the fastest.
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

    /// Rows of one tile, of more and of a part; inputs and outputs that fill groups and panels, and that don't.
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

    /// The most that 3,072 inputs can add up to, as in base's feed-forward layer: beyond 16 bits and far below 32.
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
