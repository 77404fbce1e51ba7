//! CPU kernels for a packed graph: matrix products and the operators around them. Attention per sequence, activations,
//! residual LayerNorm and quantization each take one pass over a row; ONNX Runtime's operators take several.
//!
//! Kernels are pure functions over slices, in the widest vectors that the processor supports. A row of a result depends
//! only on the rows of its own sequence, and its sums are always made in the same order. So results are bit-identical
//! in any batch.

#![expect(
    clippy::inline_always,
    reason = "a function is compiled for a processor's vectors where it is inlined into what pulp dispatches"
)]

mod activate;
mod attention;
mod dispatch;
mod functions;
mod linear;
mod normalize;
mod panels;
mod product;
mod quantize;

pub use activate::{activate, activate_and_quantize};
pub use attention::{Heads, attend};
pub use dispatch::vectorized;
pub use linear::{ByteWeights, FloatWeights, WrongSize, multiplies_bytes};
pub use normalize::{Norm, add_and_normalize};
pub use product::Product;
pub use quantize::quantize_signed;

#[cfg(test)]
mod tests;
