//! Texts of any length through a model that scores tokens: overlapping windows, each token scored where it has most context.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use super::context::RequestContext;
use super::handle::Service;
use super::run::Run;
use super::timings::Timings;
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::text::TokenizedText;
use crate::text::sequence::single;
use crate::text::windows::{self, Window};

/// Tokens two neighbouring windows share, where a window has room for twice as many: each token has at least half of
/// them as context on either side.
pub(super) const OVERLAP: usize = 128;

/// A text, its tokens and the logits of each of them.
pub struct ScoredText {
    /// As it was sent.
    pub text: String,
    /// Its tokens; none for a text of white space.
    pub tokens: TokenizedText,
    /// One row of `width` logits a token.
    pub logits: Vec<f32>,
    /// Logits a token.
    pub width: usize,
}

impl ScoredText {
    /// The logits of a token.
    pub fn row(&self, token: usize) -> &[f32] {
        &self.logits[token * self.width..(token + 1) * self.width]
    }
}

/// A text cut into windows; none where there are no tokens, as there is nothing to run then.
struct WindowedText {
    text: String,
    tokens: TokenizedText,
    windows: Vec<Window>,
}

impl Service {
    /// Scores the tokens of texts, `width` logits each, and makes a result of each text by `decode`.
    pub(crate) async fn score_tokens<R: Send + 'static>(
        &self,
        model: &Arc<LoadedModel>,
        texts: Vec<String>,
        width: usize,
        context: &RequestContext,
        decode: impl Fn(&LoadedModel, &ScoredText) -> R + Send + 'static,
    ) -> Result<(Vec<R>, Timings), ServiceError> {
        let bytes = texts.iter().map(String::len).sum();
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
        let run = Run {
            bytes,
            prepare: move |model: &LoadedModel| cut(model, texts),
            decode: decode_all,
        };
        self.run(model, run, context).await
    }
}

/// Tokenizes texts and cuts them into the sequences of their windows.
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

/// Takes each token's logits from the window that shows most of what is around it.
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
        // Behind [CLS].
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

/// The logits of some positions of a sequence. A graph that gives fewer than it promised is a fault of the server.
pub(super) fn rows(
    output: &SequenceOutput,
    positions: Range<usize>,
    width: usize,
) -> Result<&[f32], ServiceError> {
    output
        .logits
        .get(positions.start * width..positions.end * width)
        .ok_or_else(|| {
            ServiceError::internal("the graph gave fewer logits than the sequence has tokens")
        })
}

/// A stretch of a text. Tokens' offsets lie on character boundaries in the order of the text; were that ever not so, an
/// empty stretch is better than no answer.
pub(super) fn slice(text: &str, bytes: Range<usize>) -> &str {
    text.get(bytes).unwrap_or_default()
}
