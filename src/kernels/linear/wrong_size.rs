//! The error for rows, scales or products whose sizes do not match a layer's weights.

use thiserror::Error;

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("rows, scales or products are not of the weights' sizes")]
pub struct WrongSize;
