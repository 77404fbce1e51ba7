//! Bounds the number of windows that one text is split into.

use crate::text::windows::Window;

/// A text's windows, with special tokens and the question, may have this many times its tokens together, and
/// [`FREE_TOKENS`] more. Otherwise a text could need as many windows as it has tokens.
const REPETITION: usize = 16;
/// At least one window, and enough for any stride over the short windows that clients ask for in tests.
const FREE_TOKENS: usize = 1024;
/// Models that read fewer tokens may repeat a text more often, in inverse proportion, up to [`MOST_OF_SMALL_MODELS`]
/// tokens: a question soon leaves their windows a step of a token or two, and their sequences take little time.
const LARGE_MODEL: usize = 256;
const MOST_OF_SMALL_MODELS: usize = 1 << 16;

/// The fewest new tokens that a further window of `window_tokens` must bring, to be affordable for texts of any length.
pub fn fewest_new_tokens(window_tokens: usize) -> usize {
    window_tokens.div_ceil(REPETITION)
}

/// Whether these windows of a text, of `window_tokens` each with special tokens, stay within the bound. `model_tokens` is
/// the longest sequence that the model reads.
pub fn is_affordable(windows: &[Window], window_tokens: usize, model_tokens: usize) -> bool {
    let text = windows.last().map_or(0, |last| last.tokens.end);
    let run = windows.len().saturating_mul(window_tokens);
    let usual = text.saturating_mul(REPETITION);
    let small = usual.saturating_mul(LARGE_MODEL) / model_tokens.max(1);
    let most = usual.max(small.min(MOST_OF_SMALL_MODELS));
    run <= most.saturating_add(window_tokens.max(FREE_TOKENS))
}
