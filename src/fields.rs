//! The values of request fields, and of their defaults in electra.toml.

use std::fmt;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

/// The units that are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Each token of the model's vocabulary.
    #[default]
    Token,
    /// Each word, as the tokenizer splits a text before it looks up its vocabulary.
    Word,
}

/// How logits become scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub enum ScoreFunction {
    /// Probabilities of mutually exclusive labels, which sum to 1.
    Softmax,
    /// An independent probability for each label.
    Sigmoid,
    /// The logits, unchanged.
    None,
}

/// How tokens become entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    /// Each token is an entity of its own, with its whole label (`B-NP`).
    None,
    /// Adjacent tokens with the same label are joined, whether they are whole words or parts of words.
    #[default]
    Simple,
    /// As simple, but a word takes the label of its first token.
    First,
    /// As simple, but a word takes the label with the highest mean probability over its tokens.
    Average,
    /// As simple, but a word takes the label of its most certain token.
    Max,
}

/// A whole number of at least `MINIMUM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(inline)]
pub struct Count<const MINIMUM: usize>(#[schemars(range(min = MINIMUM, max = u64::MAX))] usize);

impl<const MINIMUM: usize> Count<MINIMUM> {
    /// `None` if the number is below `MINIMUM`.
    #[must_use]
    pub fn new(number: usize) -> Option<Self> {
        (number >= MINIMUM).then_some(Self(number))
    }

    #[must_use]
    pub fn get(self) -> usize {
        self.0
    }
}

impl From<Count<1>> for NonZeroUsize {
    fn from(count: Count<1>) -> Self {
        Self::new(count.0).unwrap_or(Self::MIN)
    }
}

impl<'de, const MINIMUM: usize> Deserialize<'de> for Count<MINIMUM> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor<const MINIMUM: usize>;

        impl<const MINIMUM: usize> Visitor<'_> for CountVisitor<MINIMUM> {
            type Value = Count<MINIMUM>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a whole number of at least {MINIMUM}")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                usize::try_from(number)
                    .ok()
                    .and_then(Count::new)
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }

            /// JSON has one type of number, so `2.0` is 2.
            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                /// 2^64, the first number beyond u64.
                const BEYOND: f64 = 18_446_744_073_709_551_616.0;
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "whole, and within the bounds"
                )]
                if number.fract() == 0.0 && (0.0..BEYOND).contains(&number) {
                    self.visit_u64(number as u64)
                } else if number.fract() == 0.0 {
                    Err(E::invalid_value(Unexpected::Float(number), &self))
                } else {
                    Err(E::invalid_type(Unexpected::Float(number), &self))
                }
            }
        }

        deserializer.deserialize_any(CountVisitor)
    }
}

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, JsonSchema)]
#[schemars(inline)]
pub struct Threshold(#[schemars(range(min = 0, max = 1))] f32);

impl Threshold {
    /// `None` if the number is not from 0 to 1.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "scores are f32: a threshold need not be finer"
        )]
        (0.0..=1.0).contains(&number).then_some(Self(number as f32))
    }

    #[must_use]
    pub fn get(self) -> f32 {
        self.0
    }
}

impl Default for Threshold {
    fn default() -> Self {
        Self(0.5)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ThresholdVisitor;

        impl Visitor<'_> for ThresholdVisitor {
            type Value = Threshold;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number from 0 to 1")
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Threshold::new(number)
                    .ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                #[allow(clippy::cast_precision_loss, reason = "only 0 and 1 are taken")]
                self.visit_f64(number as f64)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                #[allow(clippy::cast_precision_loss, reason = "only 0 and 1 are taken")]
                self.visit_f64(number as f64)
            }
        }

        deserializer.deserialize_any(ThresholdVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_probabilities() {
        let threshold = |json: &str| {
            serde_json::from_str::<Threshold>(json)
                .ok()
                .map(Threshold::get)
        };
        assert_eq!(threshold("0"), Some(0.0));
        assert_eq!(threshold("1.0"), Some(1.0));
        assert_eq!(threshold("0.25"), Some(0.25));
        for wrong in ["-0.1", "2", "-1", "1.0001", "\"0.5\"", "true"] {
            assert_eq!(threshold(wrong), None, "{wrong}");
        }
        assert_eq!(Threshold::new(f64::NAN), None);
    }

    #[test]
    fn counts_start_at_their_minimum() {
        assert_eq!(serde_json::from_str::<Count<0>>("0").unwrap().get(), 0);
        assert_eq!(serde_json::from_str::<Count<1>>("7").unwrap().get(), 7);
        assert_eq!(serde_json::from_str::<Count<1>>("7.0").unwrap().get(), 7);
        for wrong in ["0", "-3", "1.5", "\"1\"", "1e30"] {
            assert!(serde_json::from_str::<Count<1>>(wrong).is_err(), "{wrong}");
        }
    }
}
