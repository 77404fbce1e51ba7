//! A matrix packed as the right operand of a product: cut into panels of columns that fit into the processor's
//! registers, each panel's rows one after another.

use pulp::Simd;

/// Rows multiplied at once: with two vectors of columns each, their sums stay in registers.
pub(super) const ROWS: usize = 6;
/// Vectors in a row of a panel; the last panel may have only one.
const VECTORS: usize = 2;

/// A matrix of `[depth, columns]`, padded with zero columns to a whole number of vectors.
#[derive(Debug, Default)]
pub(super) struct Panels {
    values: Vec<f32>,
    depth: usize,
    columns: usize,
    lanes: usize,
}

impl Panels {
    /// Resizes for a matrix. The caller must set its columns; padding columns are zero.
    #[inline(always)]
    pub(super) fn reset<S: Simd>(&mut self, depth: usize, columns: usize) {
        let size = depth * columns.next_multiple_of(S::F32_LANES);
        if (self.depth, self.columns) != (depth, columns) {
            self.values.clear();
        }
        self.values.resize(size, 0.0);
        (self.depth, self.columns, self.lanes) = (depth, columns, S::F32_LANES);
    }

    /// Number of columns with padding.
    #[inline(always)]
    pub(super) fn padded_columns(&self) -> usize {
        self.columns.next_multiple_of(self.lanes)
    }

    /// Sets a column to `scale * values + bias`.
    #[inline(always)]
    pub(super) fn set_column(&mut self, column: usize, values: &[f32], scale: f32, bias: &[f32]) {
        let (start, width) = self.panel(column);
        let panel = &mut self.values[start * self.depth..][..width * self.depth];
        let rows = panel.chunks_exact_mut(width);
        for ((row, value), bias) in rows.zip(values).zip(bias) {
            row[column - start] = value * scale + bias;
        }
    }

    /// Sets a row to `scale * values + bias`.
    #[inline(always)]
    pub(super) fn set_row(&mut self, row: usize, values: &[f32], scale: f32, bias: &[f32]) {
        let mut start = 0;
        while start < self.columns {
            let (_, width) = self.panel(start);
            let place = &mut self.values[start * self.depth + row * width..][..width];
            let parts = values[start..].iter().zip(&bias[start..]);
            for (place, (value, bias)) in place.iter_mut().zip(parts) {
                *place = value * scale + bias;
            }
            start += width;
        }
    }

    /// Multiplies rows of `depth` values with the matrix, into rows of [`Self::padded_columns`]. Only the first `used`
    /// rows are written.
    #[inline(always)]
    pub(super) fn multiply<S: Simd>(
        &self,
        simd: S,
        rows: [&[f32]; ROWS],
        used: usize,
        products: &mut [f32],
    ) {
        let columns = self.padded_columns();
        let (vectors, _) = S::as_simd_f32s(&self.values);
        let whole = columns / (VECTORS * S::F32_LANES) * VECTORS;
        for start in (0..whole).step_by(VECTORS) {
            let panel = &vectors[start * self.depth..][..VECTORS * self.depth];
            let sums = tile::<S, VECTORS>(simd, rows, panel);
            store(&sums, used, columns, start, products);
        }
        if whole * S::F32_LANES < columns {
            let sums = tile::<S, 1>(simd, rows, &vectors[whole * self.depth..][..self.depth]);
            store(&sums, used, columns, whole, products);
        }
    }

    /// The first column and the width of the panel that contains a column.
    #[inline(always)]
    fn panel(&self, column: usize) -> (usize, usize) {
        let width = VECTORS * self.lanes;
        let start = column / width * width;
        (start, width.min(self.padded_columns() - start))
    }
}

/// Computes the sums of one panel, `[ROWS, N]` vectors. Each sum is made in order of depth, independent of its
/// neighbours.
#[inline(always)]
fn tile<S: Simd, const N: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    panel: &[S::f32s],
) -> [[S::f32s; N]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); N]; ROWS];
    let depth = panel.len() / N;
    let rows = rows.map(|row| &row[..depth]);
    for index in 0..depth {
        let columns: [S::f32s; N] = std::array::from_fn(|vector| panel[index * N + vector]);
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let value = simd.splat_f32s(row[index]);
            for (sum, column) in sums.iter_mut().zip(&columns) {
                *sum = simd.mul_add_e_f32s(value, *column, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn store<V: bytemuck::Pod, const N: usize>(
    sums: &[[V; N]; ROWS],
    used: usize,
    columns: usize,
    start: usize,
    products: &mut [f32],
) {
    let lanes = size_of::<V>() / size_of::<f32>();
    for (row, sums) in products.chunks_exact_mut(columns).zip(sums).take(used) {
        row[start * lanes..][..N * lanes].copy_from_slice(bytemuck::cast_slice(sums));
    }
}
