//! The product of a linear layer, as the kernels that follow it take it.

/// Rows of a matrix product that still lack their scale and their bias.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// `[rows, width]`.
    pub rows: &'a [f32],
    /// `[rows]`; none where rows are not scaled.
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
