//! Detection of replaced tokens: the area under the ROC curve, and precision, recall and accuracy at a threshold.

use super::numbers::ranks;
use super::{AnswersFound, ratio};
use crate::eval::scores::{Score, Scores, count, number, share};
use crate::heads::discriminate::is_replaced;
use crate::numbers::float;

/// Scored tokens with their gold labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The probability that a token was replaced, and whether it was.
    pub tokens: Vec<(f32, bool)>,
}

impl Detection {
    /// The probability that a replaced token scores higher than an original one, with ties counted half. Undefined
    /// unless both kinds occur.
    #[must_use]
    pub fn auc(&self) -> Option<f64> {
        let scores = self.tokens.iter().map(|(score, _)| f64::from(*score));
        let ranks = ranks(scores.collect());
        let of_replaced = ranks
            .iter()
            .zip(&self.tokens)
            .filter(|(_, (_, replaced))| *replaced)
            .map(|(rank, _)| rank);
        let replaced = float(self.replaced());
        let others = float(self.tokens.len()) - replaced;
        let below = of_replaced.sum::<f64>() - replaced * (replaced + 1.0) / 2.0;
        (replaced > 0.0 && others > 0.0).then(|| below / (replaced * others))
    }

    /// The counts at a threshold.
    #[must_use]
    pub fn found(&self, threshold: f32) -> AnswersFound {
        let called = |score: f32| is_replaced(score, threshold);
        AnswersFound {
            gold: self.replaced(),
            predicted: self
                .tokens
                .iter()
                .filter(|(score, _)| called(*score))
                .count(),
            correct: self
                .tokens
                .iter()
                .filter(|(score, replaced)| *replaced && called(*score))
                .count(),
        }
    }

    /// The share of right decisions at a threshold.
    #[must_use]
    pub fn accuracy(&self, threshold: f32) -> f64 {
        let right = self
            .tokens
            .iter()
            .filter(|(score, replaced)| is_replaced(*score, threshold) == *replaced);
        ratio(right.count(), self.tokens.len())
    }

    #[must_use]
    pub fn scores(&self, threshold: f32) -> Scores {
        let mut overall: Vec<Score> = vec![
            count("tokens", self.tokens.len()),
            count("replaced", self.replaced()),
            number("auc", self.auc()),
            number("threshold", Some(f64::from(threshold))),
        ];
        overall.extend(self.found(threshold).scores());
        overall.push(share("accuracy", self.accuracy(threshold)));
        Scores {
            overall,
            ..Scores::default()
        }
    }

    fn replaced(&self) -> usize {
        self.tokens.iter().filter(|(_, replaced)| *replaced).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::golden;

    #[test]
    fn detections_are_scored_as_by_scikit_learn() {
        for case in golden::cases("detection") {
            let scores: Vec<f32> = golden::read(&case["scores"]);
            let replaced: Vec<bool> = golden::read(&case["replaced"]);
            let threshold: f32 = golden::read(&case["threshold"]);
            let detection = Detection {
                tokens: scores.into_iter().zip(replaced).collect(),
            };
            let found = detection.found(threshold);
            for (name, found) in [
                ("auc", detection.auc()),
                ("precision", Some(found.precision())),
                ("recall", Some(found.recall())),
                ("f1", Some(found.f1())),
                ("accuracy", Some(detection.accuracy(threshold))),
            ] {
                golden::assert_near(found, &case[name], &format!("{name} of {case}"));
            }
        }
    }
}
