//! What the CPU computes of a packed graph: the products of rows with weights, and what is around them, each in one pass over
//! a row where ONNX Runtime's own operators take several: attention over each sequence alone, activations, the residual
//! LayerNorm, quantization.
//!
//! Pure functions over slices, in the widest vectors that the processor has. A row of a result depends on the rows of its
//! own sequence and on nothing else, in an order that is always the same: so its numbers do not depend on the batch, to
//! the bit.

#![expect(
    clippy::inline_always,
    reason = "a function is compiled for a processor's vectors where it is inlined into what pulp dispatches"
)]

mod activate;
mod attention;
mod functions;
mod linear;
mod normalize;
mod panels;
mod quantize;

pub use activate::{activate, activate_and_quantize};
pub use attention::{Heads, attend};
pub use linear::{ByteWeights, FloatWeights, WrongSize, multiplies_bytes};
pub use normalize::{Norm, add_and_normalize};
pub use quantize::quantize_signed;

use pulp::{Arch, Simd, WithSimd};

/// Whether this processor has vectors that the kernels are written for. Where it has none, ONNX Runtime's own operators are
/// faster.
#[must_use]
pub fn vectorized() -> bool {
    struct Vectorized;
    impl WithSimd for Vectorized {
        type Output = bool;

        fn with_simd<S: Simd>(self, _: S) -> bool {
            !S::IS_SCALAR
        }
    }
    dispatch(Vectorized)
}

/// Runs a kernel in the widest vectors that the processor has.
fn dispatch<K: WithSimd>(kernel: K) -> K::Output {
    #[cfg(test)]
    if let Some(chosen) = tests::CHOSEN.get() {
        return chosen.dispatch(kernel);
    }
    Arch::new().dispatch(kernel)
}

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
    fn row(&self, index: usize) -> &'a [f32] {
        let width = self.bias.len();
        &self.rows[index * width..][..width]
    }

    fn scale(&self, index: usize) -> f32 {
        self.scales.map_or(1.0, |scales| scales[index])
    }
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
