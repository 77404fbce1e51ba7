//! Metrics as the tasks' own scripts and scikit-learn define them, one file per kind.

pub mod answers;
pub mod chunks;
pub mod detection;
pub mod labels;
pub mod numbers;

use crate::eval::scores::{Score, share};
use crate::numbers::float;

/// A share; 0 if `whole` is 0.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        float(part) / float(whole)
    }
}

/// Counts for precision, recall and F1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswersFound {
    /// The number of true items.
    pub gold: usize,
    /// The number of predicted items.
    pub predicted: usize,
    /// The number of predicted items that are true.
    pub correct: usize,
}

impl AnswersFound {
    /// `correct / predicted`; 0 if nothing was predicted.
    #[must_use]
    pub fn precision(&self) -> f64 {
        ratio(self.correct, self.predicted)
    }

    /// `correct / gold`; 0 if there are no true items.
    #[must_use]
    pub fn recall(&self) -> f64 {
        ratio(self.correct, self.gold)
    }

    /// The harmonic mean of precision and recall; 0 if both are 0.
    #[must_use]
    pub fn f1(&self) -> f64 {
        ratio(2 * self.correct, self.gold + self.predicted)
    }

    fn scores(&self) -> [Score; 3] {
        [
            share("precision", self.precision()),
            share("recall", self.recall()),
            share("f1", self.f1()),
        ]
    }
}

/// Golden cases, computed by reference implementations.
#[cfg(test)]
mod golden {
    use serde_json::Value;

    pub fn cases(kind: &str) -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.json");
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = golden[kind].as_array().unwrap().clone();
        assert!(cases.len() >= 4, "{kind} has only {} cases", cases.len());
        cases
    }

    pub fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
        serde_json::from_value(value.clone()).unwrap()
    }

    /// Compares numbers. `null` stands for an undefined number.
    pub fn assert_near(found: Option<f64>, wanted: &Value, what: &str) {
        match (found, wanted.as_f64()) {
            (Some(found), Some(wanted)) => {
                assert!(
                    (found - wanted).abs() < 1e-9,
                    "{what}: {found} instead of {wanted}"
                );
            }
            (found, wanted) => assert_eq!(found, wanted, "{what}"),
        }
    }
}
