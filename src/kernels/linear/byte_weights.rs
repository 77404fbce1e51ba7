//! Weights of signed bytes, laid out in panels for the instructions that multiply them.

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
