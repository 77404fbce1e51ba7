//! Weights of signed bytes, which multiply rows of unsigned ones: exact 32-bit sums, which are scaled to floats at once.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::WrongSize;

/// 32-bit sums in a vector of 512 bits.
pub(super) const LANES: usize = 16;
/// Vectors of columns that a panel of weights has.
pub(super) const VECTORS: usize = 2;
/// Columns of a panel.
pub(super) const COLUMNS: usize = VECTORS * LANES;
/// Neighbouring inputs whose products are added in one step.
pub(super) const DEPTH: usize = 4;

/// The weights of [`DEPTH`] neighbouring inputs for [`LANES`] outputs, `[outputs, inputs]`.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Group(pub [i8; LANES * DEPTH]);

/// A layer's weights as signed bytes.
pub struct ByteWeights {
    /// Panels of [`COLUMNS`] outputs, each `[inputs / DEPTH, VECTORS]`, filled up with zeros.
    groups: Vec<[Group; VECTORS]>,
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

/// Whether bytes are multiplied here faster than ONNX Runtime does it: with AVX-512's VNNI, except where there is AMX, which
/// it uses.
#[must_use]
pub fn multiplies_bytes() -> bool {
    has_vnni() && !has_amx()
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512vnni"))]
fn has_vnni() -> bool {
    match_target! {
        "x86_64+avx512f+avx512bw+avx512vl+avx512vnni" => true,
        _ => false,
    }
}

#[cfg(target_arch = "x86_64")]
fn has_amx() -> bool {
    let features = raw_cpuid::CpuId::new().get_extended_feature_info();
    features.is_some_and(|features| features.has_amx_int8())
}

#[cfg(not(target_arch = "x86_64"))]
fn has_amx() -> bool {
    false
}

impl ByteWeights {
    /// Lays out weights of `[inputs, outputs]`, row after row.
    ///
    /// # Panics
    /// Where there are more or fewer, or none.
    #[must_use]
    pub fn new([inputs, outputs]: [usize; 2], weights: &[i8]) -> Self {
        assert_eq!(weights.len(), inputs * outputs);
        let depth = inputs.div_ceil(DEPTH);
        let panels = outputs.div_ceil(COLUMNS);
        let mut groups = vec![[Group([0; LANES * DEPTH]); VECTORS]; panels * depth];
        let mut sums = vec![0; panels * COLUMNS];
        for (input, row) in weights.chunks_exact(outputs).enumerate() {
            for (panel, row) in row.chunks(COLUMNS).enumerate() {
                let group = &mut groups[panel * depth + input / DEPTH];
                let sums = &mut sums[panel * COLUMNS..];
                for (column, (weight, sum)) in row.iter().zip(sums).enumerate() {
                    let place = column % LANES * DEPTH + input % DEPTH;
                    group[column / LANES].0[place] = *weight;
                    *sum += i32::from(*weight);
                }
            }
        }
        Self {
            groups,
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
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, &[[Group; VECTORS]])> {
        let depth = self.inputs.div_ceil(DEPTH);
        let panels = self.groups.chunks_exact(depth);
        (0..).step_by(COLUMNS).zip(panels)
    }

    /// What the sums of some columns begin with, so that `zero_point` is off each byte in the end.
    pub(super) fn first_sums(&self, first: usize, zero_point: u8) -> [[i32; LANES]; VECTORS] {
        let zero_point = i32::from(zero_point);
        std::array::from_fn(|vector| {
            let first = first + vector * LANES;
            std::array::from_fn(|lane| -zero_point * self.sums[first + lane])
        })
    }
}

impl Rows<'_> {
    /// The scales of some columns; of those that fill up, zero.
    pub fn scales(&self, first: usize) -> [[f32; LANES]; VECTORS] {
        std::array::from_fn(|vector| {
            let first = first + vector * LANES;
            std::array::from_fn(|lane| self.scales.get(first + lane).copied().unwrap_or(0.0))
        })
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx512vnni"))]
fn multiply(rows: Rows, products: &mut [f32]) {
    match_target! {
        "x86_64+avx512f+avx512bw+avx512vl+avx512vnni" => super::vnni::multiply(rows, products),
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
            for (bytes, groups) in bytes.chunks(DEPTH).zip(panel) {
                for (sums, group) in sums.iter_mut().zip(groups) {
                    for (sum, weights) in sums.iter_mut().zip(group.0.chunks_exact(DEPTH)) {
                        let parts = bytes.iter().zip(weights);
                        *sum += parts
                            .map(|(byte, weight)| i32::from(*byte) * i32::from(*weight))
                            .sum::<i32>();
                    }
                }
            }
            let columns = sums.iter().flatten().zip(scales.iter().flatten());
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
            let weights: Vec<i8> = (0..inputs * outputs).map(|_| rng.i8(..)).collect();
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
                let mut products = vec![f32::NAN; count * outputs];
                laid_out
                    .multiply(&bytes, zero_point, &scales, &mut products)
                    .unwrap();
                assert_eq!(products, expected, "{count} x {inputs} x {outputs}");
                products.fill(f32::NAN);
                let rows = Rows {
                    weights: &laid_out,
                    bytes: &bytes,
                    zero_point,
                    scales: &scales,
                };
                multiply_anywhere(rows, &mut products);
                assert_eq!(products, expected, "{count} x {inputs} x {outputs}");
            }
        }
    }

    /// The most that 3,072 inputs can add up to, as in base's feed-forward layer: beyond 16 bits and far below 32.
    #[test]
    fn the_greatest_bytes_do_not_saturate() {
        let inputs = 3072;
        let laid_out = ByteWeights::new([inputs, 1], &vec![-128; inputs]);
        let mut products = [0.0];
        laid_out
            .multiply(&vec![255; inputs], 0, &[1.0], &mut products)
            .unwrap();
        assert_eq!(products[0].to_bits(), (-100_270_080.0_f32).to_bits());
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
