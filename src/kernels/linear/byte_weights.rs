//! int8 weights, laid out in panels for the instructions that multiply them.

/// Columns in a panel.
pub(super) const COLUMNS: usize = 32;
/// Neighbouring inputs whose products one instruction adds.
pub(super) const DEPTH: usize = 4;

/// The weights of one step, `[COLUMNS, DEPTH]`.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Step(pub [i8; COLUMNS * DEPTH]);

/// A linear layer's weights in int8.
pub struct ByteWeights {
    /// Panels of [`COLUMNS`] outputs, `[inputs / DEPTH]` each, padded with zeros.
    steps: Vec<Step>,
    /// Sum of each output's weights, padding outputs included.
    sums: Vec<i32>,
    inputs: usize,
    outputs: usize,
}

/// Arguments of one product.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub weights: &'a ByteWeights,
    /// `[rows, inputs]`.
    pub bytes: &'a [u8],
    /// Subtracted from each byte.
    pub zero_point: u8,
    /// `[outputs]`.
    pub scales: &'a [f32],
}

impl ByteWeights {
    /// Packs weights of `[inputs, outputs]`, row-major. The weights in rows 2k and 2k + 1 of a column must sum to at
    /// most 128 in magnitude, because AVX2 adds their products in 16 bits.
    ///
    /// # Panics
    /// If the number of weights is not `inputs * outputs`, or there are none.
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

    /// `[inputs, outputs]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.inputs, self.outputs]
    }

    /// The panels, each with the index of its first column.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, &[Step])> {
        let panels = self.steps.chunks_exact(self.inputs.div_ceil(DEPTH));
        (0..).step_by(COLUMNS).zip(panels)
    }

    /// The initial sums of a panel's columns, which subtract `zero_point` from each byte.
    pub(super) fn first_sums(&self, first: usize, zero_point: u8) -> [i32; COLUMNS] {
        std::array::from_fn(|column| -i32::from(zero_point) * self.sums[first + column])
    }
}

impl Rows<'_> {
    /// The scales of a panel's columns; 0 for padding columns.
    pub fn scales(&self, first: usize) -> [f32; COLUMNS] {
        std::array::from_fn(|column| self.scales.get(first + column).copied().unwrap_or(0.0))
    }
}
