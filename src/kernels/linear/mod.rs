//! Products of rows with a linear layer's weights, which are laid out once for the processor and read by all threads.

mod bytes;
mod floats;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use bytes::{ByteWeights, multiplies_bytes};
pub use floats::FloatWeights;

use thiserror::Error;

/// Rows that can't be multiplied.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("rows, scales or products are not of the weights' sizes")]
pub struct WrongSize;
