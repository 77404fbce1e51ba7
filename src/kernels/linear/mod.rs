//! Products of rows with a linear layer's weights, which are laid out once for the processor and read by all threads.

mod bytes;
mod floats;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use bytes::ByteWeights;
pub use floats::FloatWeights;
#[cfg(target_arch = "x86_64")]
pub use x86::multiplies_bytes;

use thiserror::Error;

/// Whether bytes are multiplied here at least as fast as ONNX Runtime does it: not on a processor that nothing is written for.
#[cfg(not(target_arch = "x86_64"))]
#[must_use]
pub fn multiplies_bytes() -> bool {
    false
}

/// Rows that can't be multiplied.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("rows, scales or products are not of the weights' sizes")]
pub struct WrongSize;
