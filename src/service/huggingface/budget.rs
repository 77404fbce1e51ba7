//! Bounds the number of windows that one text is split into.

use crate::text::windows::Window;

/// Up to this many tokens of windows for one text, requests may choose any overlap.
const FREE_TOKENS: usize = 1 << 16;
/// Above that, each further window must bring at least 1/16 of its length in new tokens. Otherwise a long text could
/// need as many windows as it has tokens.
const NEW_SHARE: usize = 16;

/// The fewest new tokens that a further window of `window_tokens` must bring.
pub fn fewest_new_tokens(window_tokens: usize) -> usize {
    window_tokens.div_ceil(NEW_SHARE)
}

/// Whether these windows, of `window_tokens` each with special tokens, stay within the bounds.
pub fn is_affordable(windows: &[Window], window_tokens: usize) -> bool {
    let step = match windows {
        [first, second, ..] => second.tokens.start - first.tokens.start,
        _ => usize::MAX,
    };
    windows.len().saturating_mul(window_tokens) <= FREE_TOKENS
        || step >= fewest_new_tokens(window_tokens)
}
