//! Metrics as the tasks' own scripts and scikit-learn define them, one file a kind.

pub mod answers;
pub mod chunks;
pub mod detection;
pub mod labels;
pub mod numbers;

use crate::eval::scores::{Score, share};
use crate::numbers::float;

/// A share of a count; 0 of none.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        float(part) / float(whole)
    }
}

/// What was found against what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// There are so many.
    pub gold: usize,
    /// So many were found.
    pub predicted: usize,
    /// Of those, so many are there.
    pub correct: usize,
}

impl Found {
    /// The share of what was found that is there; 0 where nothing was found.
    #[must_use]
    pub fn precision(&self) -> f64 {
        ratio(self.correct, self.predicted)
    }

    /// The share of what is there that was found; 0 where nothing is there.
    #[must_use]
    pub fn recall(&self) -> f64 {
        ratio(self.correct, self.gold)
    }

    /// The harmonic mean of both; 0 where they are.
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

/// Golden cases that reference implementations have computed.
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

    /// Compares numbers; `null` stands for one that is not defined.
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
