//! Sequence classification: labels for texts and pairs of texts.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::chunk::Chunk;
use super::context::RequestContext;
use super::handle::{Service, Target};
use super::input::{Inputs, check_length, several, visible_text};
use super::operation::{Answer, Operation, RequestOption, Results, TaskOperation};
use super::steps::{Steps, joined};
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::fields::{Count, ScoreFunction};
use crate::heads::classify::{default_function, rank, scores};
use crate::inference::Sequence;
use crate::limits::Limits;
use crate::registry::LoadedModel;
use crate::task::Task;
use crate::text::TokenizedText;
use crate::text::sequence::{pair, single};

/// About the bytes of text that a token stands for, at most.
const LONGEST_TOKEN_BYTES: usize = 8;

/// Fields that hold the texts of pairs, if first and second texts come in separate lists.
const PARTS: [&str; 2] = ["text", "text_pair"];

/// Texts to classify, and options.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassifyRequest {
    /// A text, or a list of texts and pairs of texts.
    pub text: Inputs<ClassifyInput>,
    /// The name or an alias of a model of this task, optionally followed by `@` and a version. If absent, the task's
    /// default model.
    pub model: Option<String>,
    /// The number of labels to return, best first. All if absent.
    pub top_k: Option<Count<1>>,
    /// How logits become scores. If absent, the model decides: none for regression, sigmoid for multi-label models and
    /// for models with one label, otherwise softmax.
    pub function: Option<ScoreFunction>,
    /// Whether to truncate inputs longer than the model's limit. Otherwise they are refused.
    #[schemars(extend("default" = false))]
    pub truncate: Option<bool>,
}

/// One input to classify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassifyInput {
    Text(String),
    /// Two texts, such as premise and hypothesis, or query and passage.
    Pair(String, String),
}

/// The labels of one input.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Classification {
    /// The labels, best first.
    pub labels: Vec<LabelScore>,
    /// Present if the input was truncated.
    #[schemars(extend("const" = true))]
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

/// A label and its score.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LabelScore {
    /// The label's name.
    pub label: String,
    /// The score, from 0 to 1. For regression and with the function `none`, any number.
    pub score: f32,
}

impl Operation for ClassifyRequest {
    type Output = Results<Classification>;

    fn find(&self, service: &Service) -> Target {
        service.find(Self::TASK, self.model.as_deref())
    }

    async fn run(
        self,
        service: &Service,
        model: Arc<LoadedModel>,
        context: &RequestContext,
    ) -> Result<Answer<Self::Output>, ServiceError> {
        check(&self.text, &model.info.limits)?;
        let defaults = model.info.defaults;
        let function = self
            .function
            .or(defaults.function)
            .unwrap_or_else(|| default_function(model.info.problem_type, model.info.labels.len()));
        let top_k = self.top_k.or(defaults.top_k).map(NonZeroUsize::from);
        let truncate = self.truncate.or(defaults.truncate).unwrap_or(false);
        let decode = move |model: &LoadedModel, truncated, outputs: Vec<SequenceOutput>| {
            let labels = &model.info.labels;
            let result = |(output, truncated): (&SequenceOutput, bool)| Classification {
                labels: best(&output.logits, labels, function, top_k),
                truncated,
            };
            Ok(outputs
                .iter()
                .zip::<Vec<bool>>(truncated)
                .map(result)
                .collect())
        };
        let inputs = Arc::new(self.text);
        let most_bytes = model.info.max_tokens.saturating_mul(LONGEST_TOKEN_BYTES);
        let chunks = Chunk::divide((0..inputs.items().len()).collect(), |index| {
            let bytes: usize = inputs.items()[*index].parts().map(str::len).sum();
            // What is beyond does not run: it is truncated or refused.
            bytes.min(most_bytes)
        });
        let steps = Steps {
            prepare: move |model: &LoadedModel, indices: Vec<usize>| {
                let cut = truncate.then_some(Cut {
                    texts: CutTexts::LongestFirst,
                    tokens: model.info.max_tokens,
                });
                encode_all(model, &inputs, &indices, cut)
            },
            decode,
        };
        let outcome = service.run_steps(&model, chunks, steps, context).await?;
        Ok(Answer::of_model(&model, joined(outcome)))
    }
}

impl TaskOperation for ClassifyRequest {
    const TASK: Task = Task::Classify;
    const OPTIONS: &'static [RequestOption] = &[
        RequestOption::scalar("top_k"),
        RequestOption::string("function"),
        RequestOption::scalar("truncate"),
    ];
    type Result = Classification;
}

/// All labels, in the order of the model's outputs.
pub(super) fn in_order(
    logits: &[f32],
    labels: &[String],
    function: ScoreFunction,
) -> Vec<LabelScore> {
    let scored = labels.iter().zip(scores(logits, function));
    let scored = scored.map(|(label, score)| LabelScore {
        label: label.clone(),
        score,
    });
    scored.collect()
}

/// The best labels, best first. All labels without `top_k`.
pub(super) fn best(
    logits: &[f32],
    labels: &[String],
    function: ScoreFunction,
    top_k: Option<NonZeroUsize>,
) -> Vec<LabelScore> {
    let named = |(label, score): (usize, f32)| {
        Some(LabelScore {
            label: labels.get(label)?.clone(),
            score,
        })
    };
    rank(&scores(logits, function), top_k)
        .into_iter()
        .filter_map(named)
        .collect()
}

/// Checks the number of inputs and their lengths.
fn check(inputs: &Inputs<ClassifyInput>, limits: &Limits) -> Result<(), ServiceError> {
    inputs.check_count("text", limits)?;
    for (index, input) in inputs.items().iter().enumerate() {
        for (part, text) in input.parts().enumerate() {
            check_length(text, limits, || place_of_part(inputs, index, part))?;
        }
    }
    Ok(())
}

/// Encodes the inputs with these indices. Returns whether each was truncated, and the sequences.
fn encode_all(
    model: &LoadedModel,
    inputs: &Inputs<ClassifyInput>,
    indices: &[usize],
    cut: Option<Cut>,
) -> Result<(Vec<bool>, Vec<Sequence>), ServiceError> {
    indices
        .iter()
        .map(|index| encode(model, inputs, *index, cut))
        .collect::<Result<Vec<_>, _>>()
        .map(|all| all.into_iter().unzip())
}

fn encode(
    model: &LoadedModel,
    inputs: &Inputs<ClassifyInput>,
    index: usize,
    cut: Option<Cut>,
) -> Result<(bool, Sequence), ServiceError> {
    let mut parts = Vec::with_capacity(2);
    for (part, text) in inputs.items()[index].parts().enumerate() {
        let tokens = model
            .tokenizer
            .tokenize(text)
            .map_err(ServiceError::internal)?;
        if tokens.ids.is_empty() {
            return Err(ServiceError::EmptyText {
                place: place_of_part(inputs, index, part),
            });
        }
        parts.push(tokens);
    }
    let place = inputs.place_of_parts("text", index, &PARTS[..parts.len()]);
    sequence(model, &parts, &place, cut)
}

/// How to truncate inputs: which texts, and to how many tokens, special tokens included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub texts: CutTexts,
    pub tokens: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutTexts {
    /// Truncates the longer text first.
    LongestFirst,
    /// Truncates the first text, which must keep at least one token.
    OnlyFirst,
    /// Truncates the second text, which must keep at least one token.
    OnlySecond,
}

/// Encodes a text or a pair. Returns whether it was truncated. Without `cut`, inputs longer than the model's limit are
/// refused.
pub(super) fn sequence(
    model: &LoadedModel,
    parts: &[TokenizedText],
    place: &str,
    cut: Option<Cut>,
) -> Result<(bool, Sequence), ServiceError> {
    let limit = model.info.max_tokens;
    let limit = cut.map_or(limit, |cut| cut.tokens.min(limit));
    let length = parts.iter().map(|part| part.ids.len() + 1).sum::<usize>() + 1;
    if length > limit && cut.is_none() {
        return Err(ServiceError::TooManyTokens {
            place: place.to_owned(),
            length,
            limit,
        });
    }
    let texts = cut.map_or(CutTexts::LongestFirst, |cut| cut.texts);
    let too_short = |(name, count): (&str, usize)| ServiceError::InvalidValue {
        place: format!("`{place}`"),
        reason: format!(
            "only the {name} text is to be truncated, and it has {count} tokens where {} have to be removed",
            length - limit
        ),
    };
    let special = model.tokenizer.special_tokens();
    let sequence = match parts {
        [first, second] => {
            let counts = (first.ids.len(), second.ids.len());
            let (kept_first, kept_second) = texts
                .of_pair(counts, limit.saturating_sub(3))
                .map_err(too_short)?;
            pair(special, head(first, kept_first), head(second, kept_second))
        }
        parts => {
            let text = parts.first().map_or(&[][..], |text| &text.ids);
            let kept = texts
                .of_one(text.len(), limit.saturating_sub(2))
                .map_err(too_short)?;
            single(special, &text[..kept])
        }
    };
    Ok((length > limit, sequence))
}

impl CutTexts {
    /// How many of a text's `count` tokens to keep in `room`. The error names a missing text.
    fn of_one(self, count: usize, room: usize) -> Result<usize, (&'static str, usize)> {
        match self {
            Self::OnlySecond if count > room => Err(("second", 0)),
            _ => Ok(count.min(room)),
        }
    }

    /// How many tokens of each text to keep in `room`. The error names the text that is too short to truncate.
    fn of_pair(
        self,
        (first, second): (usize, usize),
        room: usize,
    ) -> Result<(usize, usize), (&'static str, usize)> {
        let surplus = (first + second).saturating_sub(room);
        match self {
            Self::LongestFirst => Ok(longest_first(first, second, room)),
            _ if surplus == 0 => Ok((first, second)),
            Self::OnlyFirst if first > surplus => Ok((first - surplus, second)),
            Self::OnlyFirst => Err(("first", first)),
            Self::OnlySecond if second > surplus => Ok((first, second - surplus)),
            Self::OnlySecond => Err(("second", second)),
        }
    }
}

fn head(tokens: &TokenizedText, count: usize) -> &[u32] {
    &tokens.ids[..count.min(tokens.ids.len())]
}

/// How many tokens of each text transformers' `longest_first` truncation keeps in `room`. It truncates the longer text
/// first, then both equally.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let (shorter, longer) = (first.min(second), first.max(second));
    // The shorter text stays whole as long as the truncated longer text is not shorter than it.
    let (kept_shorter, kept_longer) = if shorter * 2 <= room {
        (shorter, (room - shorter).min(longer))
    } else {
        (room / 2, room - room / 2)
    };
    if first <= second {
        (kept_shorter, kept_longer)
    } else {
        (kept_longer, kept_shorter)
    }
}

impl ClassifyInput {
    fn parts(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::Text(text) => (text, None),
            Self::Pair(first, second) => (first, Some(second)),
        };
        std::iter::once(first).chain(second).map(String::as_str)
    }
}

/// Path of a text in the request: `text[3]`, or for a pair `text[3][1]` or `text_pair[3]`.
fn place_of_part(inputs: &Inputs<ClassifyInput>, index: usize, part: usize) -> String {
    match inputs.items()[index] {
        ClassifyInput::Text(_) => inputs.place("text", index),
        ClassifyInput::Pair(..) => {
            inputs.place_of_part("text", index, PARTS[part], &format!("[{part}]"))
        }
    }
}

impl JsonSchema for Inputs<ClassifyInput> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ClassifyInputs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = visible_text(generator);
        let pair = json_schema!({
            "type": "array",
            "description": "A pair of texts, such as premise and hypothesis.",
            "prefixItems": [text, text],
            "items": false,
            "minItems": 2,
        });
        let listed = several(&json_schema!({"oneOf": [text, pair]}));
        json_schema!({"oneOf": [text, listed]})
    }
}

impl<'de> Deserialize<'de> for ClassifyInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputVisitor;

        impl<'de> Visitor<'de> for InputVisitor {
            type Value = ClassifyInput;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or a list of two strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ClassifyInput::Text(text.to_owned()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(ClassifyInput::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list
                    .next_element()?
                    .ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let second = list
                    .next_element()?
                    .ok_or_else(|| A::Error::invalid_length(1, &self))?;
                match list.next_element::<serde::de::IgnoredAny>()? {
                    None => Ok(ClassifyInput::Pair(first, second)),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }
        }

        deserializer.deserialize_any(InputVisitor)
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(truth: &bool) -> bool {
    !truth
}

#[cfg(test)]
mod tests;
