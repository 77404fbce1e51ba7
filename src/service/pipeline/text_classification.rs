//! transformers' text-classification pipeline.

use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::Value;

use super::super::classify::{best, sequence};
use super::super::input::{Count, Inputs, Object, check_length};
use super::super::json;
use super::{Pipeline, PipelineOutput, any_case};
use crate::batch::{Sequence, SequenceOutput};
use crate::error::ServiceError;
use crate::heads::classify::{ScoreFunction, default_function};
use crate::repository::LoadedModel;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// How many labels, best first; all if absent.
    top_k: Option<Count<1>>,
    #[serde(default, deserialize_with = "any_case")]
    function_to_apply: Option<ScoreFunction>,
    /// Whether an input beyond the model's limit is cut instead of refused.
    truncation: Option<bool>,
}

/// One input: a text, or two.
struct Texts {
    first: Part,
    second: Option<Part>,
}

/// A text and where in the request it stands.
struct Part {
    text: String,
    place: String,
}

/// An input as an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    text: String,
    text_pair: Option<String>,
}

pub(super) struct TextClassification {
    inputs: Inputs<Texts>,
    parameters: Parameters,
}

/// How logits become an answer.
pub(super) struct Choice {
    top_k: Option<NonZeroUsize>,
    function: ScoreFunction,
}

impl Pipeline for TextClassification {
    type Prepared = Choice;

    fn read(
        inputs: Value,
        parameters: Option<Value>,
        model: &LoadedModel,
    ) -> Result<Self, ServiceError> {
        let parameters = super::parameters(parameters)?;
        let inputs = super::inputs(inputs, texts)?;
        let limits = &model.info.limits;
        inputs.check_count("inputs", limits)?;
        for part in inputs.items().iter().flat_map(Texts::parts) {
            check_length(&part.text, limits, || part.place.clone())?;
        }
        Ok(Self { inputs, parameters })
    }

    fn bytes(&self) -> usize {
        let parts = self.inputs.items().iter().flat_map(Texts::parts);
        parts.map(|part| part.text.len()).sum()
    }

    fn prepare(self, model: &LoadedModel) -> Result<(Choice, Vec<Sequence>), ServiceError> {
        let truncate = self.parameters.truncation.unwrap_or(false);
        let encode = |(index, texts): (usize, &Texts)| {
            let tokenize = |part: &Part| model.tokenizer.tokenize(&part.text);
            let tokens = texts.parts().map(tokenize).collect::<Result<Vec<_>, _>>();
            let tokens = tokens.map_err(ServiceError::internal)?;
            let place = self.inputs.place("inputs", index);
            sequence(model, &tokens, &place, truncate).map(|(_, sequence)| sequence)
        };
        let inputs = self.inputs.items().iter().enumerate();
        let sequences = inputs.map(encode).collect::<Result<_, _>>()?;
        let (problem_type, labels) = (model.info.problem_type, model.info.labels.len());
        let choice = Choice {
            top_k: self.parameters.top_k.map(NonZeroUsize::from),
            function: self
                .parameters
                .function_to_apply
                .unwrap_or_else(|| default_function(problem_type, labels)),
        };
        Ok((choice, sequences))
    }

    fn decode(
        choice: Choice,
        model: &LoadedModel,
        outputs: &[SequenceOutput],
    ) -> Result<PipelineOutput, ServiceError> {
        let Choice { top_k, function } = choice;
        let labels =
            |output: &SequenceOutput| best(&output.logits, &model.info.labels, function, top_k);
        Ok(PipelineOutput::Labels(outputs.iter().map(labels).collect()))
    }
}

impl Texts {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.second)
    }
}

/// A string, `{"text", "text_pair"}`, or `[["text", "text_pair"]]`, which the pipeline still takes.
fn texts(value: Value, place: &str) -> Result<Texts, ServiceError> {
    let part = |text: String, below: &str| Part {
        text,
        place: format!("{place}{below}"),
    };
    // transformers takes an empty second text for none.
    let second = |text: String, below| (!text.is_empty()).then(|| part(text, below));
    match value {
        Value::Object(_) => {
            let Object(Pair { text, text_pair }) = json::read(value, place)?;
            Ok(Texts {
                first: part(text, ".text"),
                second: second(text_pair.unwrap_or_default(), ".text_pair"),
            })
        }
        Value::Array(nested) if matches!(nested.as_slice(), [Value::Array(_)]) => {
            let [(text, text_pair)]: [(String, String); 1] = json::read(nested.into(), place)?;
            Ok(Texts {
                first: part(text, "[0][0]"),
                second: second(text_pair, "[0][1]"),
            })
        }
        Value::Array(_) => Err(ServiceError::InvalidType {
            place: format!("`{place}`"),
            reason: "a pair of texts is written as {\"text\": \"…\", \"text_pair\": \"…\"}"
                .to_owned(),
        }),
        text => Ok(Texts {
            first: part(json::read(text, place)?, ""),
            second: None,
        }),
    }
}
