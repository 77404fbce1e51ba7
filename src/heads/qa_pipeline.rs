//! Extractive question answering with the scores of transformers' question-answering pipeline (4.57): per window, the
//! product of two softmaxes. [`super::qa`] ranks all windows together instead.

use std::cmp::Ordering;
use std::num::NonZeroUsize;
use std::ops::Range;

use super::softmax;

/// The logit of a token that can't be part of an answer.
const MASKED: f32 = -10_000.0;

/// The model's output for one window of the context.
#[derive(Clone, Debug)]
pub struct PipelineWindow<'a> {
    /// Start and end logit of each token of the sequence, special tokens included, `[CLS]` first: `[tokens][2]`.
    pub logits: &'a [f32],
    /// For each token, whether the softmaxes include it: context tokens and every `[CLS]`.
    pub counted: &'a [bool],
    /// Positions of context tokens in the sequence.
    pub context: Range<usize>,
}

/// A possible answer in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowSpan {
    /// Position of its first token in the sequence.
    pub first: usize,
    /// Position of its last token in the sequence.
    pub last: usize,
    /// Product of two probabilities, above 0 and at most 1.
    pub score: f32,
}

/// The answers from one window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowAnswers {
    /// The most likely spans, best first. Of equal ones, the one with the earlier start comes first, then the one with
    /// the earlier end.
    pub spans: Vec<WindowSpan>,
    /// Probability that the window does not answer the question.
    pub no_answer_score: f32,
}

/// Finds the `most` best spans of a window, of at most `max_answer_tokens` tokens each.
///
/// Spans of probability 0 are omitted. If there are too few others, transformers adds spans of probability 0 in the
/// order of an unstable sort, which differs between processors.
#[must_use]
pub fn best_spans(
    window: &PipelineWindow,
    most: NonZeroUsize,
    max_answer_tokens: NonZeroUsize,
) -> WindowAnswers {
    let start = probabilities(window, 0);
    let end = probabilities(window, 1);
    let at = |probabilities: &[f32], position: usize| {
        probabilities.get(position).copied().unwrap_or_default()
    };
    let mut spans = Vec::new();
    for first in window.context.clone() {
        let beyond = first.saturating_add(max_answer_tokens.get());
        for last in first..window.context.end.min(beyond) {
            let score = at(&start, first) * at(&end, last);
            if score > 0.0 {
                spans.push(WindowSpan { first, last, score });
            }
        }
    }
    if spans.len() > most.get() {
        spans.select_nth_unstable_by(most.get() - 1, best_first);
        spans.truncate(most.get());
    }
    spans.sort_unstable_by(best_first);
    WindowAnswers {
        spans,
        no_answer_score: at(&start, 0) * at(&end, 0),
    }
}

/// The probability of each token to start (column 0) or end (column 1) an answer.
fn probabilities(window: &PipelineWindow, column: usize) -> Vec<f32> {
    let (logits, _) = window.logits.as_chunks::<2>();
    let counted = window.counted.iter().chain(std::iter::repeat(&false));
    let masked: Vec<f32> = logits
        .iter()
        .zip(counted)
        .map(|(row, counted)| if *counted { row[column] } else { MASKED })
        .collect();
    softmax(&masked)
}

fn best_first(a: &WindowSpan, b: &WindowSpan) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then((a.first, a.last).cmp(&(b.first, b.last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[CLS] question [SEP] a b c [SEP]`.
    const COUNTED: [bool; 7] = [true, false, false, true, true, true, false];

    fn answers(starts: [f32; 7], ends: [f32; 7], most: usize, longest: usize) -> WindowAnswers {
        let logits: Vec<f32> = starts
            .into_iter()
            .zip(ends)
            .flat_map(|(start, end)| [start, end])
            .collect();
        let window = PipelineWindow {
            logits: &logits,
            counted: &COUNTED,
            context: 3..6,
        };
        let number = |number| NonZeroUsize::new(number).unwrap();
        best_spans(&window, number(most), number(longest))
    }

    fn places(answers: &WindowAnswers) -> Vec<(usize, usize)> {
        let spans = answers.spans.iter();
        spans.map(|span| (span.first, span.last)).collect()
    }

    #[test]
    fn a_score_is_the_product_of_two_softmaxes_over_context_and_cls() {
        // The question and [SEP] have the highest logits, and are not counted.
        let answers = answers(
            [0.0, 90.0, 90.0, 1.0, 0.0, 0.0, 90.0],
            [0.0, 90.0, 90.0, 0.0, 2.0, 0.0, 90.0],
            1,
            15,
        );
        let (e, e2) = (1_f32.exp(), 2_f32.exp());
        assert_eq!(places(&answers), [(3, 4)]);
        assert!((answers.spans[0].score - e / (e + 3.0) * e2 / (e2 + 3.0)).abs() < 1e-6);
        assert!((answers.no_answer_score - 1.0 / (e + 3.0) / (e2 + 3.0)).abs() < 1e-6);
    }

    #[test]
    fn spans_are_ranked_and_no_longer_than_allowed() {
        let starts = [0.0, 0.0, 0.0, 3.0, 2.0, 1.0, 0.0];
        let ends = [0.0, 0.0, 0.0, 1.0, 1.5, 4.0, 0.0];
        assert_eq!(
            places(&answers(starts, ends, 3, 15)),
            [(3, 5), (4, 5), (5, 5)]
        );
        assert_eq!(
            places(&answers(starts, ends, 3, 1)),
            [(5, 5), (3, 3), (4, 4)]
        );
        let equal = answers([0.0; 7], [0.0; 7], 2, 15);
        assert_eq!(places(&equal), [(3, 3), (3, 4)]);
    }

    #[test]
    fn what_is_impossible_is_left_out() {
        assert_eq!(answers([0.0; 7], [0.0; 7], 12, 15).spans.len(), 6);
        let ends = [0.0, 0.0, 0.0, -900.0, 0.0, -900.0, 0.0];
        assert_eq!(places(&answers([0.0; 7], ends, 12, 15)), [(3, 4), (4, 4)]);
    }

    #[test]
    fn logits_that_are_no_numbers_or_missing_do_no_harm() {
        let window = PipelineWindow {
            logits: &[f32::NAN; 6],
            counted: &[true; 9],
            context: 1..9,
        };
        let answers = best_spans(&window, NonZeroUsize::MIN, NonZeroUsize::MIN);
        assert_eq!(places(&answers), []);
    }
}
