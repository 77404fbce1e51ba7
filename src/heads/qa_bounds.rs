//! Bounds of question answering's options, for requests and for defaults in electra.toml.

use std::num::NonZeroUsize;

use thiserror::Error;

/// Longest sequence of question and window, as in transformers' pipeline; a model may allow less.
pub const WINDOW_TOKENS: usize = 384;
/// Default number of tokens that two windows share, as in transformers' pipeline. Shorter windows share at most half of
/// their tokens.
pub const DEFAULT_STRIDE: usize = 128;
/// Default length of the longest answer, in tokens.
pub const DEFAULT_ANSWER_TOKENS: usize = 30;
/// Maximum number of answers per item in a request.
pub const MAX_TOP_K: usize = 100;

/// An option beyond its bounds. The message follows the option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BoundError {
    /// Too many answers.
    #[error("it is {0}, and at most {MAX_TOP_K} answers can be asked for")]
    TopK(NonZeroUsize),
    /// An overlap of more than half a window.
    #[error("it is {stride}, and windows of {window} tokens may share at most {}", window / 2)]
    Stride {
        stride: usize,
        /// Length of a window, in tokens.
        window: usize,
    },
}

impl BoundError {
    /// The option's field.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::TopK(_) => "top_k",
            Self::Stride { .. } => "stride",
        }
    }
}

/// Checks the number of answers.
///
/// # Errors
/// [`BoundError::TopK`], if it is above [`MAX_TOP_K`].
pub fn check_top_k(top_k: NonZeroUsize) -> Result<(), BoundError> {
    if top_k.get() > MAX_TOP_K {
        return Err(BoundError::TopK(top_k));
    }
    Ok(())
}

/// Checks the number of tokens that neighbouring windows of `window` tokens share.
///
/// # Errors
/// [`BoundError::Stride`], if it is above half a window.
pub fn check_stride(stride: Option<usize>, window: usize) -> Result<(), BoundError> {
    match stride {
        Some(stride) if stride > window / 2 => Err(BoundError::Stride { stride, window }),
        _ => Ok(()),
    }
}
