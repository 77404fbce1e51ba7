//! How many windows one text may be read in.

use crate::text::windows::Window;

/// Tokens to run for one text up to which neighbouring windows may share as many as a request likes.
const FREE_TOKENS: usize = 1 << 16;
/// Beyond, a window brings at least so much of its tokens that is new: else running a long text would cost as many
/// windows as it has tokens.
const NEW_SHARE: usize = 16;

/// The fewest tokens that a further window of so many must bring.
pub fn fewest_new_tokens(window_tokens: usize) -> usize {
    window_tokens.div_ceil(NEW_SHARE)
}

/// Whether windows of so many tokens, special ones included, may be run.
pub fn is_affordable(windows: &[Window], window_tokens: usize) -> bool {
    let step = match windows {
        [first, second, ..] => second.tokens.start - first.tokens.start,
        _ => usize::MAX,
    };
    windows.len().saturating_mul(window_tokens) <= FREE_TOKENS
        || step >= fewest_new_tokens(window_tokens)
}
