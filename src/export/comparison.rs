//! Compares the logits of two precisions: their differences, and how many decisions change.

use std::fmt;
use std::ops::Range;

use super::head::Head;
use crate::heads::classify::ProblemType;

/// How logits become decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionRule {
    /// One decision per logit: whether it is above 0. Used for replaced tokens, single labels and multi-label
    /// classification.
    EachAboveZero,
    /// One decision per row: the index of its highest logit. Used for classification and tagging.
    Highest,
    /// One decision per sample: the span with the highest sum of a start and an end logit. Used for question answering.
    BestSpan {
        /// Length of the longest span, in tokens.
        max_tokens: usize,
    },
    /// Regression has no decisions: a number counts as unchanged if it differs by at most 1% of the range of all
    /// samples' numbers.
    Number,
}

impl DecisionRule {
    /// The rule for a head; `problem_type` is the one in config.json.
    #[must_use]
    pub fn of(head: Head, problem_type: Option<ProblemType>) -> Self {
        match (head, problem_type) {
            (Head::Sequence { .. }, Some(ProblemType::Regression)) => Self::Number,
            (Head::Sequence { .. }, Some(ProblemType::MultiLabel))
            | (Head::Sequence { labels: 1 } | Head::Discriminator, _) => Self::EachAboveZero,
            (Head::Sequence { .. } | Head::Token { .. }, _) => Self::Highest,
            (Head::QuestionAnswering, _) => Self::BestSpan { max_tokens: 30 },
        }
    }
}

/// The logits of one sample. Rows of special tokens and of a question are not compared.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleLogits {
    /// Row-major, `width` per row.
    pub logits: Vec<f32>,
    /// The compared rows.
    pub rows: Range<usize>,
}

impl SampleLogits {
    /// The logits of the compared rows.
    fn deciding(&self, width: usize) -> &[f32] {
        let range = self.rows.start * width..self.rows.end * width;
        self.logits.get(range).unwrap_or_default()
    }
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Largest difference between two logits.
    pub largest_difference: f32,
    /// Mean difference between two logits.
    pub mean_difference: f64,
    /// Number of decisions compared.
    pub decisions: usize,
    /// Number of decisions that are the same.
    pub unchanged: usize,
}

impl Comparison {
    /// The smallest share of unchanged decisions at which an export is accepted.
    pub const ACCEPTED_SHARE: f64 = 0.99;

    /// Compares two precisions' logits of the same samples, `width` per row.
    #[must_use]
    pub fn new(
        reference: &[SampleLogits],
        candidate: &[SampleLogits],
        width: usize,
        rule: DecisionRule,
    ) -> Self {
        let mut comparison = Self::default();
        let mut sum = 0.0;
        let mut count = 0_u32;
        let tolerance = number_tolerance(reference);
        for (reference, candidate) in reference.iter().zip(candidate) {
            let (reference, candidate) = (reference.deciding(width), candidate.deciding(width));
            for (reference, candidate) in reference.iter().zip(candidate) {
                let difference = (reference - candidate).abs();
                comparison.largest_difference = comparison.largest_difference.max(difference);
                sum += f64::from(difference);
                count += 1;
            }
            let same = unchanged(reference, candidate, width, rule, tolerance);
            comparison.decisions += same.len();
            comparison.unchanged += same.iter().filter(|same| **same).count();
        }
        comparison.mean_difference = sum / f64::from(count.max(1));
        comparison
    }

    /// Share of decisions that are the same, 0 to 1; 1 if there are none.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of decisions are far below 2^52"
    )]
    pub fn unchanged_share(&self) -> f64 {
        if self.decisions == 0 {
            1.0
        } else {
            self.unchanged as f64 / self.decisions as f64
        }
    }

    /// Whether the share of unchanged decisions is at least [`Self::ACCEPTED_SHARE`].
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.unchanged_share() >= Self::ACCEPTED_SHARE
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "largest logit difference {:.4}, mean {:.4}; {} of {} decisions unchanged ({:.2}%)",
            self.largest_difference,
            self.mean_difference,
            self.unchanged,
            self.decisions,
            self.unchanged_share() * 100.0
        )
    }
}

/// Whether each decision of a sample is the same.
fn unchanged(
    reference: &[f32],
    candidate: &[f32],
    width: usize,
    rule: DecisionRule,
    tolerance: f32,
) -> Vec<bool> {
    match rule {
        DecisionRule::EachAboveZero => reference
            .iter()
            .zip(candidate)
            .map(|(reference, candidate)| (*reference > 0.0) == (*candidate > 0.0))
            .collect(),
        DecisionRule::Highest => reference
            .chunks_exact(width)
            .zip(candidate.chunks_exact(width))
            .map(|(reference, candidate)| highest(reference) == highest(candidate))
            .collect(),
        DecisionRule::BestSpan { max_tokens } => {
            vec![best_span(reference, max_tokens) == best_span(candidate, max_tokens)]
        }
        DecisionRule::Number => reference
            .iter()
            .zip(candidate)
            .map(|(reference, candidate)| (reference - candidate).abs() <= tolerance)
            .collect(),
    }
}

fn highest(row: &[f32]) -> Option<usize> {
    (0..row.len()).max_by(|left, right| row[*left].total_cmp(&row[*right]))
}

/// Start and end of the best span. A row holds a start and an end logit.
fn best_span(logits: &[f32], max_tokens: usize) -> Option<(usize, usize)> {
    let rows = logits.len() / 2;
    let spans = (0..rows)
        .flat_map(|start| (start..rows.min(start + max_tokens)).map(move |end| (start, end)));
    let sum = |(start, end): (usize, usize)| logits[start * 2] + logits[end * 2 + 1];
    spans.max_by(|left, right| sum(*left).total_cmp(&sum(*right)))
}

fn number_tolerance(samples: &[SampleLogits]) -> f32 {
    let values = || {
        samples
            .iter()
            .flat_map(|sample| sample.logits.iter().copied())
    };
    (values().fold(f32::NEG_INFINITY, f32::max) - values().fold(f32::INFINITY, f32::min)).max(0.0)
        / 100.0
}

#[cfg(test)]
mod tests;
