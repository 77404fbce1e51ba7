//! Scores the tokens of texts of any length in overlapping windows. Each token's score comes from the window with most
//! of its context.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use super::chunk::Chunk;
use super::context::RequestContext;
use super::handle::Service;
use super::steps::{Steps, joined};
use super::timings::Timings;
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::text::TokenizedText;
use crate::text::sequence::single;
use crate::text::windows::{self, Window};

/// Overlap of neighbouring windows in tokens, at most half a window. Each token has at least half of it as context on
/// either side.
pub(super) const OVERLAP: usize = 128;

/// A text, its tokens and their logits.
pub struct ScoredText {
    /// The text as sent.
    pub text: String,
    /// Empty for a text of white space.
    pub tokens: TokenizedText,
    /// `width` logits per token, back to back.
    pub logits: Vec<f32>,
    /// Logits per token.
    pub width: usize,
}

impl ScoredText {
    pub fn row(&self, token: usize) -> &[f32] {
        &self.logits[token * self.width..(token + 1) * self.width]
    }
}

/// A text split into windows. A text without tokens has none, so nothing runs.
struct WindowedText {
    text: String,
    tokens: TokenizedText,
    windows: Vec<Window>,
}

impl Service {
    /// Scores the tokens of texts, with `width` logits each. `decode` turns each scored text into a result.
    pub(crate) async fn score_tokens<R: Send + 'static>(
        &self,
        model: &Arc<LoadedModel>,
        texts: Vec<String>,
        width: usize,
        context: &RequestContext,
        decode: impl Fn(&LoadedModel, &ScoredText) -> R + Send + Sync + 'static,
    ) -> Result<(Vec<R>, Timings), ServiceError> {
        let decode_all = move |model: &LoadedModel, texts: Vec<WindowedText>, outputs: Vec<_>| {
            let mut outputs = outputs.into_iter();
            let mut results = Vec::with_capacity(texts.len());
            for text in texts {
                let of_text: Vec<SequenceOutput> =
                    outputs.by_ref().take(text.windows.len()).collect();
                results.push(decode(model, &join(text, &of_text, width)?));
            }
            Ok(results)
        };
        let steps = Steps {
            prepare: cut,
            decode: decode_all,
        };
        let chunks = Chunk::divide(texts, String::len);
        let outcome = self.run_steps(model, chunks, steps, context).await?;
        Ok(joined(outcome))
    }
}

/// Tokenizes texts, and encodes their windows as sequences.
fn cut(
    model: &LoadedModel,
    texts: Vec<String>,
) -> Result<(Vec<WindowedText>, Vec<Sequence>), ServiceError> {
    let special = model.tokenizer.special_tokens();
    // [CLS] and [SEP] take two of the model's positions.
    let room =
        NonZeroUsize::new(model.info.max_tokens.saturating_sub(2)).unwrap_or(NonZeroUsize::MIN);
    let mut sequences = Vec::new();
    let mut windowed = Vec::with_capacity(texts.len());
    for text in texts {
        let tokens = model
            .tokenizer
            .tokenize(&text)
            .map_err(ServiceError::internal)?;
        let windows = match tokens.ids.len() {
            0 => Vec::new(),
            count => windows::split(count, room, OVERLAP.min(room.get() / 2)),
        };
        sequences.extend(
            windows
                .iter()
                .map(|window| single(special, &tokens.ids[window.tokens.clone()])),
        );
        windowed.push(WindowedText {
            text,
            tokens,
            windows,
        });
    }
    Ok((windowed, sequences))
}

/// Takes each token's logits from the window with most of its context.
fn join(
    text: WindowedText,
    outputs: &[SequenceOutput],
    width: usize,
) -> Result<ScoredText, ServiceError> {
    let WindowedText {
        text,
        tokens,
        windows,
    } = text;
    let mut logits = Vec::with_capacity(tokens.ids.len() * width);
    for (token, window) in windows::most_context(&windows, tokens.ids.len())
        .into_iter()
        .enumerate()
    {
        // Position 0 is [CLS].
        let position = token - windows[window].tokens.start + 1;
        logits.extend_from_slice(rows(&outputs[window], position..position + 1, width)?);
    }
    Ok(ScoredText {
        text,
        tokens,
        logits,
        width,
    })
}

/// The logits of a range of positions of a sequence. If a graph returns fewer than it declared, the error is internal.
pub(super) fn rows(
    output: &SequenceOutput,
    positions: Range<usize>,
    width: usize,
) -> Result<&[f32], ServiceError> {
    output
        .logits
        .get(positions.start * width..positions.end * width)
        .ok_or_else(|| {
            ServiceError::internal("the graph returned fewer logits than the sequence has tokens")
        })
}

/// A slice of a text. Token offsets should always lie on character boundaries, in order. If they ever do not, an empty
/// slice is better than no answer.
pub(super) fn slice(text: &str, bytes: Range<usize>) -> &str {
    text.get(bytes).unwrap_or_default()
}
