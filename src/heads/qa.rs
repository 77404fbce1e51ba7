//! Extractive question answering: finds the best spans of the context from start and end logits over windows.
//!
//! A span's score is its probability in one softmax over every admissible span of all windows and "no answer". A span's
//! logit is the sum of its start and end logits, the highest if several windows contain the span. As in SQuAD 2.0, the
//! logit of "no answer" is start plus end at `[CLS]`, the lowest of all windows. So scores sum to at most 1, and "no
//! answer" outscores the best span exactly if SQuAD 2.0's logit difference is above 0.

#![allow(clippy::doc_markdown, reason = "SQuAD is a name, not code")]

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::num::NonZeroUsize;
use std::ops::Range;

/// The model's output for one window of the context.
#[derive(Clone, Debug)]
pub struct QaWindow<'a> {
    /// Start and end logit of each token of the sequence, special tokens included, `[CLS]` first: `[tokens][2]`.
    pub logits: &'a [f32],
    /// Positions of context tokens in the sequence.
    pub context: Range<usize>,
    /// Index of the token at `context.start` in the tokenized context.
    pub first_context_token: usize,
}

/// Limits on answers.
#[derive(Clone, Copy, Debug)]
pub struct QaOptions {
    /// Maximum number of spans to return.
    pub top_k: NonZeroUsize,
    /// Maximum number of tokens in a span.
    pub max_answer_tokens: NonZeroUsize,
}

/// A possible answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The span's tokens, as indices into the tokenized context; never empty.
    pub tokens: Range<usize>,
    /// Probability among all spans and "no answer", 0 to 1.
    pub score: f32,
    /// Sum of its start and end logit.
    pub logit: f32,
}

/// The answers to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct QaDecoded {
    /// The most likely spans without duplicates, best first. Of equal ones, the earlier comes first, then the shorter.
    pub spans: Vec<Span>,
    /// Probability that the context contains no answer, 0 to 1.
    pub no_answer_score: f32,
}

/// Finds the best spans over all windows of one context.
///
/// Time is proportional to the windows' tokens times `max_answer_tokens`. NaN logits count as the lowest number.
#[must_use]
pub fn decode(windows: &[QaWindow], options: QaOptions) -> QaDecoded {
    let windows = readable(windows);
    let no_answer = windows
        .iter()
        .filter_map(|window| window.logits.first())
        .map(|cls| finite(cls[0]) + finite(cls[1]))
        .reduce(f64::min);

    let mut total = LogSumExp::default();
    let mut best: BinaryHeap<Reverse<SpanCandidate>> = BinaryHeap::new();
    each_span(&windows, options.max_answer_tokens.get(), |candidate| {
        total.add(candidate.logit);
        if best.len() < options.top_k.get() {
            best.push(Reverse(candidate));
        } else if let Some(mut worst) = best.peek_mut()
            && candidate > worst.0
        {
            *worst = Reverse(candidate);
        }
    });
    if let Some(logit) = no_answer {
        total.add(logit);
    }

    QaDecoded {
        // `Reverse` sorts the best candidate first.
        spans: best
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse(candidate)| Span {
                score: total.probability(candidate.logit),
                logit: narrow(candidate.logit),
                tokens: candidate.start..candidate.end,
            })
            .collect(),
        no_answer_score: no_answer.map_or(1.0, |logit| total.probability(logit)),
    }
}

/// A window whose context is within its logits.
struct Readable<'a> {
    logits: &'a [[f32; 2]],
    context: &'a [[f32; 2]],
    first_token: usize,
}

impl Readable<'_> {
    fn end_token(&self) -> usize {
        self.first_token + self.context.len()
    }
}

/// Sorts windows by their position in the context, and cuts off context positions beyond a window's logits.
fn readable<'a>(windows: &[QaWindow<'a>]) -> Vec<Readable<'a>> {
    let mut readable: Vec<Readable> = windows
        .iter()
        .map(|window| {
            let (logits, _) = window.logits.as_chunks::<2>();
            let end = window.context.end.min(logits.len());
            Readable {
                logits,
                context: &logits[window.context.start.min(end)..end],
                first_token: window.first_context_token,
            }
        })
        .collect();
    readable.sort_by_key(|window| window.first_token);
    readable
}

/// Calls `found` once for each admissible span, with its highest logit in any window.
fn each_span(windows: &[Readable], max_answer_tokens: usize, mut found: impl FnMut(SpanCandidate)) {
    let longest = windows
        .iter()
        .map(|window| window.context.len())
        .max()
        .unwrap_or(0);
    let mut waiting = windows.iter().peekable();
    let mut seeing: Vec<&Readable> = Vec::new();
    let mut start = 0;
    // The logits of the spans of 1, 2, ... tokens from `start`.
    let mut by_length: Vec<f64> = Vec::with_capacity(max_answer_tokens.min(longest));
    loop {
        seeing.retain(|window| start < window.end_token());
        if seeing.is_empty() {
            let Some(next) = waiting.peek() else { return };
            start = start.max(next.first_token);
        }
        while let Some(window) = waiting.next_if(|window| window.first_token <= start) {
            if start < window.end_token() {
                seeing.push(window);
            }
        }
        by_length.clear();
        for window in &seeing {
            let context = &window.context[start - window.first_token..];
            let ends = context.iter().take(max_answer_tokens);
            for (length, logits) in ends.enumerate() {
                let logit = finite(context[0][0]) + finite(logits[1]);
                match by_length.get_mut(length) {
                    Some(highest) => *highest = highest.max(logit),
                    None => by_length.push(logit),
                }
            }
        }
        for (length, &logit) in by_length.iter().enumerate() {
            found(SpanCandidate {
                logit,
                start,
                end: start + length + 1,
            });
        }
        start += 1;
    }
}

/// A candidate span. A greater candidate is a better one.
#[derive(Clone, Copy, PartialEq)]
struct SpanCandidate {
    logit: f64,
    start: usize,
    end: usize,
}

impl Eq for SpanCandidate {}

impl Ord for SpanCandidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.logit
            .total_cmp(&other.logit)
            .then(other.start.cmp(&self.start))
            .then(other.end.cmp(&self.end))
    }
}

impl PartialOrd for SpanCandidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Incremental `ln(sum of e^logit)` without overflow.
struct LogSumExp {
    highest: f64,
    /// Sum of `e^(logit - highest)`.
    sum: f64,
}

impl Default for LogSumExp {
    fn default() -> Self {
        Self {
            highest: f64::NEG_INFINITY,
            sum: 0.0,
        }
    }
}

impl LogSumExp {
    fn add(&mut self, logit: f64) {
        if logit > self.highest {
            self.sum = self.sum * (self.highest - logit).exp() + 1.0;
            self.highest = logit;
        } else {
            self.sum += (logit - self.highest).exp();
        }
    }

    /// The probability of a logit that was added.
    fn probability(&self, logit: f64) -> f32 {
        narrow((logit - self.highest).exp() / self.sum)
    }
}

/// Replaces NaN and infinities by finite numbers, which can be added and compared.
fn finite(logit: f32) -> f64 {
    if logit.is_nan() {
        f64::from(f32::MIN)
    } else {
        f64::from(logit.clamp(f32::MIN, f32::MAX))
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "answers go out in single precision"
)]
fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests;
