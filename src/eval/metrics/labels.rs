//! Single-label classification: accuracy, F1 and Matthews correlation, as scikit-learn computes them.

use super::{AnswersFound, ratio};
use crate::eval::scores::{Score, Scores, count, number, share};
use crate::numbers::float;

/// The confusion matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCounts {
    /// Indexed by gold label, then by predicted label.
    confusion: Vec<Vec<usize>>,
}

impl LabelCounts {
    /// Counts pairs of a gold and a predicted label, each below `labels`. Other pairs are ignored.
    #[must_use]
    pub fn new(labels: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut confusion = vec![vec![0; labels]; labels];
        for (gold, predicted) in pairs {
            if let Some(cell) = confusion
                .get_mut(gold)
                .and_then(|row| row.get_mut(predicted))
            {
                *cell += 1;
            }
        }
        Self { confusion }
    }

    /// The number of pairs.
    #[must_use]
    pub fn total(&self) -> usize {
        self.confusion.iter().flatten().sum()
    }

    /// The share of pairs in which both labels are equal.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.correct(), self.total())
    }

    /// The counts of one label.
    #[must_use]
    pub fn found(&self, label: usize) -> AnswersFound {
        let predicted = self.confusion.iter().filter_map(|row| row.get(label));
        let row = self.confusion.get(label);
        AnswersFound {
            gold: row.map_or(0, |row| row.iter().sum()),
            predicted: predicted.sum(),
            correct: row.and_then(|row| row.get(label)).copied().unwrap_or(0),
        }
    }

    /// For two labels, the F1 of the second, the positive one. For more, the mean F1 of the labels that occur or were
    /// predicted.
    #[must_use]
    pub fn f1(&self) -> f64 {
        if self.confusion.len() == 2 {
            return self.found(1).f1();
        }
        let occurring: Vec<f64> = (0..self.confusion.len())
            .map(|label| self.found(label))
            .filter(|found| found.gold + found.predicted > 0)
            .map(|found| found.f1())
            .collect();
        occurring.iter().sum::<f64>() / float(occurring.len().max(1))
    }

    /// Matthews correlation for any number of labels: 1 if all are right. 0 if they are no better than chance, or if
    /// only one label occurs.
    #[must_use]
    pub fn matthews_correlation(&self) -> f64 {
        let found: Vec<AnswersFound> = (0..self.confusion.len())
            .map(|label| self.found(label))
            .collect();
        let sum = |product: &dyn Fn(&AnswersFound) -> f64| found.iter().map(product).sum::<f64>();
        let total = float(self.total());
        let both = float(self.correct()) * total
            - sum(&|found| float(found.gold) * float(found.predicted));
        let gold = total * total - sum(&|found| float(found.gold).powi(2));
        let predicted = total * total - sum(&|found| float(found.predicted).powi(2));
        let scale = (gold * predicted).sqrt();
        if scale > 0.0 { both / scale } else { 0.0 }
    }

    #[must_use]
    pub fn scores(&self, names: &[String]) -> Scores {
        let of_label = |(label, name): (usize, &String)| {
            let found = self.found(label);
            let mut scores: Vec<Score> = found.scores().to_vec();
            scores.push(count("texts", found.gold));
            (name.clone(), scores)
        };
        Scores {
            overall: vec![
                share("accuracy", self.accuracy()),
                share("f1", self.f1()),
                number("matthews_correlation", Some(self.matthews_correlation())),
            ],
            by_label: names.iter().enumerate().map(of_label).collect(),
        }
    }

    fn correct(&self) -> usize {
        let diagonal = self.confusion.iter().enumerate();
        diagonal.filter_map(|(label, row)| row.get(label)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::golden;

    #[test]
    fn labels_are_scored_as_by_scikit_learn() {
        for case in golden::cases("labels") {
            let labels: usize = golden::read(&case["labels"]);
            let gold: Vec<usize> = golden::read(&case["gold"]);
            let predicted: Vec<usize> = golden::read(&case["predicted"]);
            let counts = LabelCounts::new(labels, gold.into_iter().zip(predicted));
            for (name, found) in [
                ("accuracy", counts.accuracy()),
                ("f1", counts.f1()),
                ("matthews_correlation", counts.matthews_correlation()),
            ] {
                golden::assert_near(Some(found), &case[name], &format!("{name} of {case}"));
            }
            for label in 0..labels {
                let found = counts.found(label);
                let wanted = &case["by_label"][label];
                golden::assert_near(Some(found.precision()), &wanted[0], "precision");
                golden::assert_near(Some(found.recall()), &wanted[1], "recall");
                golden::assert_near(Some(found.f1()), &wanted[2], "f1");
            }
        }
    }
}
