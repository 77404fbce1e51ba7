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
#[path = "kernels_tests.rs"]
mod tests;
