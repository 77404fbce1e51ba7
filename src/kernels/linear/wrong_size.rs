//! The error for rows, scales or products whose sizes do not match a layer's weights.

use thiserror::Error;

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the sizes of rows, scales or products do not fit the weights")]
pub struct WrongSize;
