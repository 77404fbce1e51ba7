//! The output of a linear layer's matrix product, as input of the kernels that follow it.

/// Rows of a matrix product before their scale and bias are applied.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// `[rows, width]`.
    pub rows: &'a [f32],
    /// `[rows]`; `None` for unscaled rows.
    pub scales: Option<&'a [f32]>,
    /// `[width]`.
    pub bias: &'a [f32],
}

impl<'a> Product<'a> {
    pub(super) fn row(&self, index: usize) -> &'a [f32] {
        let width = self.bias.len();
        &self.rows[index * width..][..width]
    }

    pub(super) fn scale(&self, index: usize) -> f32 {
        self.scales.map_or(1.0, |scales| scales[index])
    }
}
