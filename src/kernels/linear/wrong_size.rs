//! The refusal of rows, scales or products whose sizes are not those of a layer's weights.

use thiserror::Error;

/// Rows that can't be multiplied.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("rows, scales or products are not of the weights' sizes")]
pub struct WrongSize;
