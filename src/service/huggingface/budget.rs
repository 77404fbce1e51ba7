//! Bounds the number of windows that one text is split into.

use crate::text::windows::Window;

/// A text's windows, with special tokens and the question, may have this many times its tokens together, and
/// [`FREE_TOKENS`] more. Otherwise a text could need as many windows as it has tokens.
const REPETITION: usize = 16;
/// At least one window, and enough for any stride over the short windows that clients ask for in tests.
const FREE_TOKENS: usize = 1024;

/// The fewest new tokens that a further window of `window_tokens` must bring, to be affordable for texts of any length.
pub fn fewest_new_tokens(window_tokens: usize) -> usize {
    window_tokens.div_ceil(REPETITION)
}

/// Whether these windows of a text, of `window_tokens` each with special tokens, stay within the bound.
pub fn is_affordable(windows: &[Window], window_tokens: usize) -> bool {
    let text = windows.last().map_or(0, |last| last.tokens.end);
    let run = windows.len().saturating_mul(window_tokens);
    let free = window_tokens.max(FREE_TOKENS);
    run <= text.saturating_mul(REPETITION).saturating_add(free)
}
