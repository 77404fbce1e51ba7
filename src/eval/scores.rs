//! The result of an evaluation: named numbers.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// In lower case, as metrics are named: `accuracy`, `f1`.
    pub name: &'static str,
    pub value: Value,
}

/// The kind of number that a score is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Count(usize),
    /// 0 to 1, shown to users in percent. `None` if undefined.
    Share(Option<f64>),
    /// Any other number. `None` if undefined.
    Number(Option<f64>),
}

/// Scores, in display order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Over all inputs.
    pub overall: Vec<Score>,
    pub by_label: BTreeMap<String, Vec<Score>>,
}

#[must_use]
pub fn count(name: &'static str, value: usize) -> Score {
    Score {
        name,
        value: Value::Count(value),
    }
}

/// A share, 0 to 1.
#[must_use]
pub fn share(name: &'static str, value: f64) -> Score {
    Score {
        name,
        value: Value::Share(Some(value)),
    }
}

/// A number that may be undefined.
#[must_use]
pub fn number(name: &'static str, value: Option<f64>) -> Score {
    Score {
        name,
        value: Value::Number(value),
    }
}

impl Scores {
    /// The overall score with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        let mut scores = self.overall.iter();
        scores
            .find(|score| score.name == name)
            .map(|score| score.value)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => count.serialize(serializer),
            Self::Share(number) | Self::Number(number) => number.serialize(serializer),
        }
    }
}

/// Serializes to an object of numbers by name. The scores of each label, if any, are in `by_label`.
impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for score in &self.overall {
            object.serialize_entry(score.name, &score.value)?;
        }
        if !self.by_label.is_empty() {
            let of_label = |(label, scores): (&String, &Vec<Score>)| {
                let scores: BTreeMap<&str, Value> = scores
                    .iter()
                    .map(|score| (score.name, score.value))
                    .collect();
                (label.clone(), scores)
            };
            let by_label: BTreeMap<_, _> = self.by_label.iter().map(of_label).collect();
            object.serialize_entry("by_label", &by_label)?;
        }
        object.end()
    }
}
