//! Sequence classification: converts a text's logits to label scores, as transformers' text-classification pipeline
//! does.

use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{sigmoid, softmax};
use crate::fields::ScoreFunction;

/// `problem_type` of config.json: the objective that a model was trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ProblemType {
    /// Each output is an independent number.
    #[serde(rename = "regression")]
    Regression,
    /// Exactly one label applies.
    #[serde(rename = "single_label_classification")]
    SingleLabel,
    /// Any number of labels apply.
    #[serde(rename = "multi_label_classification")]
    MultiLabel,
}

impl FromStr for ProblemType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "regression" => Ok(Self::Regression),
            "single_label_classification" => Ok(Self::SingleLabel),
            "multi_label_classification" => Ok(Self::MultiLabel),
            _ => Err(format!(
                "config.json says problem_type `{name}`; it may be regression, single_label_classification or \
                 multi_label_classification"
            )),
        }
    }
}

/// The function that transformers applies to the logits of such a model.
#[must_use]
pub fn default_function(problem_type: Option<ProblemType>, label_count: usize) -> ScoreFunction {
    match (problem_type, label_count) {
        (Some(ProblemType::Regression), _) => ScoreFunction::None,
        (Some(ProblemType::MultiLabel), _) | (_, 1) => ScoreFunction::Sigmoid,
        _ => ScoreFunction::Softmax,
    }
}

/// The scores of the labels, in the labels' order.
#[must_use]
pub fn scores(logits: &[f32], function: ScoreFunction) -> Vec<f32> {
    match function {
        ScoreFunction::Softmax => softmax(logits),
        ScoreFunction::Sigmoid => logits.iter().copied().map(sigmoid).collect(),
        ScoreFunction::None => logits.to_vec(),
    }
}

/// Labels with their scores, best first, equal scores in the labels' order: the first `top_k`, or all.
#[must_use]
pub fn rank(scores: &[f32], top_k: Option<NonZeroUsize>) -> Vec<(usize, f32)> {
    let mut ranked: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
    // NaN ranks last.
    ranked.sort_by(|(_, a), (_, b)| {
        b.partial_cmp(a)
            .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
    ranked.truncate(top_k.map_or(usize::MAX, NonZeroUsize::get));
    ranked
}

#[cfg(test)]
mod tests;
