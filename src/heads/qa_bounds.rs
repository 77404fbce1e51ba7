//! The bounds of question answering's options, for requests and for the defaults of electra.toml alike.

use std::num::NonZeroUsize;

use thiserror::Error;

/// Longest sequence of question and window, as in transformers' pipeline, where the model takes more.
pub const WINDOW_TOKENS: usize = 384;
/// Tokens that two windows share if a request does not say, as in transformers' pipeline, where the window is not
/// shorter than twice as many.
pub const DEFAULT_STRIDE: usize = 128;
/// Longest answer in tokens if a request does not say.
pub const DEFAULT_ANSWER_TOKENS: usize = 30;
/// Most answers a request may ask for an item.
pub const MAX_TOP_K: usize = 100;

/// An option beyond its bounds; the sentence goes on after the option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BoundError {
    /// Too many answers.
    #[error("it is {0}, and at most {MAX_TOP_K} answers can be asked for")]
    TopK(NonZeroUsize),
    /// More overlap than half a window.
    #[error("it is {stride}, and windows of {window} tokens may share at most {}", window / 2)]
    Stride {
        /// As it was given.
        stride: usize,
        /// Tokens of a window.
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
/// [`BoundError::TopK`].
pub fn check_top_k(top_k: NonZeroUsize) -> Result<(), BoundError> {
    if top_k.get() > MAX_TOP_K {
        return Err(BoundError::TopK(top_k));
    }
    Ok(())
}

/// Checks how many tokens neighbouring windows of `window` tokens share.
///
/// # Errors
/// [`BoundError::Stride`].
pub fn check_stride(stride: Option<usize>, window: usize) -> Result<(), BoundError> {
    match stride {
        Some(stride) if stride > window / 2 => Err(BoundError::Stride { stride, window }),
        _ => Ok(()),
    }
}
