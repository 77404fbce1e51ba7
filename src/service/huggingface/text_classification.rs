//! transformers' text-classification pipeline.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::classify::{Cut, CutTexts, LabelScore, best, in_order, sequence};
use super::super::input::{Object, check_length};
use super::super::json;
use super::output::PipelineOutput;
use super::parameters::{
    self, BatchSize, NumWorkers, Padding, Refused, Switch, Truncation, any_case,
};
use super::pipeline::{self, Pipeline};
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::fields::{Count, ScoreFunction};
use crate::heads::classify::default_function;
use crate::inference::Sequence;
use crate::registry::LoadedModel;

/// Parameters of text-classification.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The number of labels to return, best first. All if absent.
    #[schemars(with = "Option<Count<1>>")]
    #[serde(default, deserialize_with = "top_k")]
    top_k: Option<TopK>,
    /// How logits become scores. Case is ignored. If absent, the model decides.
    #[schemars(extend("x-any-case" = true))]
    #[serde(default, deserialize_with = "any_case")]
    function_to_apply: Option<ScoreFunction>,
    /// The predecessor of `top_k`, used if `top_k` is absent: true returns all labels in the order of the model's
    /// outputs, false the best one. The answer then has the shape that transformers gives it.
    return_all_scores: Option<bool>,
    /// Whether to truncate inputs longer than the limit, and which of their texts. Otherwise they are refused.
    truncation: Option<Switch<Truncation>>,
    /// The limit in tokens, special tokens included, if lower than the model's. Longer inputs are then truncated,
    /// unless `truncation` or `padding` says otherwise.
    max_length: Option<Count<3>>,
    /// No effect on the answer: padding is masked.
    padding: Option<Switch<Padding>>,
    /// No effect on the answer: padding is masked.
    #[serde(rename = "pad_to_multiple_of")]
    _pad_to_multiple_of: Option<Count<1>>,
    /// No effect.
    #[serde(rename = "verbose")]
    _verbose: Option<bool>,
    /// No effect: the server batches requests itself.
    #[serde(rename = "batch_size")]
    _batch_size: Option<BatchSize>,
    /// No effect: the server batches requests itself.
    #[serde(rename = "num_workers")]
    _num_workers: Option<NumWorkers>,
}

/// How many labels. Null differs from an absent value: it means all labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TopK {
    All,
    Best(NonZeroUsize),
}

fn top_k<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TopK>, D::Error> {
    let count = Option::<Count<1>>::deserialize(deserializer)?;
    let best = |count| TopK::Best(NonZeroUsize::from(count));
    Ok(Some(count.map_or(TopK::All, best)))
}

/// One input: a text, or a pair.
pub(super) struct TextInput {
    /// The input's path in the request.
    place: String,
    first: TextPart,
    second: Option<TextPart>,
}

/// A text and its path in the input.
struct TextPart {
    text: String,
    path: &'static str,
}

/// An input in its object form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    text: String,
    text_pair: Option<String>,
}

/// Other tokenizer parameters. They are refused because they would change the model's input or the answer.
const REFUSED: &[Refused] = &[
    ("add_special_tokens", BY_HEAD),
    (
        "is_split_into_words",
        "a list is several inputs; join the words of each",
    ),
    ("offset_mapping", NO_TENSORS),
    (
        "padding_side",
        "inputs are not padded, so there is no side to choose",
    ),
    ("return_attention_mask", NO_TENSORS),
    ("return_length", NO_TENSORS),
    ("return_offsets_mapping", NO_TENSORS),
    ("return_overflowing_tokens", ONE_SEQUENCE),
    ("return_special_tokens_mask", NO_TENSORS),
    ("return_tensors", NO_TENSORS),
    ("return_token_type_ids", BY_HEAD),
    (
        "split_special_tokens",
        "it is set when the model is loaded, by its tokenizer_config.json",
    ),
    ("stride", ONE_SEQUENCE),
];
const BY_HEAD: &str =
    "the model was trained with special tokens and token types, and is always given them";
const NO_TENSORS: &str = "the answer holds labels and nothing that the tokenizer returns";
const ONE_SEQUENCE: &str =
    "an input is classified as one sequence; a longer input is truncated or refused";

pub(super) struct TextClassification {
    cut: Option<Cut>,
    top_k: Option<NonZeroUsize>,
    function: ScoreFunction,
    shape: AnswerShape,
}

/// The form of the answer, as in transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerShape {
    /// A list of labels per input, in a list.
    Ranked,
    /// With `return_all_scores: true`: labels in the order of the model's outputs. A lone pair's list is not wrapped in
    /// another.
    AllScores { is_lone_pair: bool },
    /// With `return_all_scores: false`: the best label. A lone pair's label is not in a list.
    BestScore { is_lone_pair: bool },
}

impl Pipeline for TextClassification {
    type Input = TextInput;
    type Prepared = ();
    type Result = Vec<LabelScore>;

    fn read(
        inputs: Value,
        parameters: Option<Value>,
        model: &LoadedModel,
    ) -> Result<(Self, Vec<TextInput>), ServiceError> {
        let parameters: Parameters = parameters::read(parameters, REFUSED)?;
        let is_lone_pair = inputs.is_object();
        let inputs = pipeline::inputs(inputs, texts)?;
        let limits = &model.info.limits;
        inputs.check_count("inputs", limits)?;
        for input in inputs.items() {
            for TextPart { text, path } in input.parts() {
                check_length(text, limits, || format!("{}{path}", input.place))?;
            }
        }
        let usual = || default_function(model.info.problem_type, model.info.labels.len());
        let shape = match (parameters.top_k, parameters.return_all_scores) {
            (None, Some(true)) => AnswerShape::AllScores { is_lone_pair },
            (None, Some(false)) => AnswerShape::BestScore { is_lone_pair },
            _ => AnswerShape::Ranked,
        };
        let pipeline = Self {
            cut: parameters.cut(model.info.max_tokens),
            top_k: match parameters.top_k {
                Some(TopK::Best(count)) => Some(count),
                Some(TopK::All) | None => None,
            },
            function: parameters.function_to_apply.unwrap_or_else(usual),
            shape,
        };
        Ok((pipeline, inputs.into_items()))
    }

    fn bytes(input: &TextInput) -> usize {
        input.parts().map(|part| part.text.len()).sum()
    }

    fn prepare(
        &self,
        inputs: Vec<TextInput>,
        model: &LoadedModel,
    ) -> Result<((), Vec<Sequence>), ServiceError> {
        let encode = |input: TextInput| {
            let tokenize = |part: &TextPart| model.tokenizer.tokenize(&part.text);
            let tokens = input.parts().map(tokenize).collect::<Result<Vec<_>, _>>();
            let tokens = tokens.map_err(ServiceError::internal)?;
            sequence(model, &tokens, &input.place, self.cut).map(|(_, sequence)| sequence)
        };
        let sequences = inputs.into_iter().map(encode).collect::<Result<_, _>>()?;
        Ok(((), sequences))
    }

    fn decode(
        &self,
        (): (),
        model: &LoadedModel,
        outputs: &[SequenceOutput],
    ) -> Result<Vec<Vec<LabelScore>>, ServiceError> {
        let names = &model.info.labels;
        let labels = |SequenceOutput { logits, .. }: &SequenceOutput| match self.shape {
            AnswerShape::Ranked => best(logits, names, self.function, self.top_k),
            AnswerShape::AllScores { .. } => in_order(logits, names, self.function),
            AnswerShape::BestScore { .. } => {
                best(logits, names, self.function, Some(NonZeroUsize::MIN))
            }
        };
        Ok(outputs.iter().map(labels).collect())
    }

    fn output(&self, results: Vec<Vec<LabelScore>>) -> PipelineOutput {
        match self.shape {
            AnswerShape::AllScores { is_lone_pair: true } => {
                PipelineOutput::LabelList(results.into_iter().flatten().collect())
            }
            AnswerShape::Ranked | AnswerShape::AllScores { .. } => PipelineOutput::Labels(results),
            AnswerShape::BestScore { is_lone_pair } => {
                let mut best: Vec<_> = results.into_iter().flatten().collect();
                match best.pop() {
                    Some(only) if is_lone_pair => PipelineOutput::Label(only),
                    last => {
                        best.extend(last);
                        PipelineOutput::LabelList(best)
                    }
                }
            }
        }
    }
}

impl Parameters {
    /// How to truncate inputs, if at all. `max_length` alone truncates too, unless the request asks for padding
    /// instead.
    fn cut(&self, most_tokens: usize) -> Option<Cut> {
        let by_limit =
            self.max_length.is_some() && matches!(self.padding, None | Some(Switch::Off));
        let texts = match self.truncation {
            None if by_limit => CutTexts::LongestFirst,
            None | Some(Switch::Off | Switch::Named(Truncation::DoNotTruncate)) => return None,
            Some(Switch::On | Switch::Named(Truncation::LongestFirst)) => CutTexts::LongestFirst,
            Some(Switch::Named(Truncation::OnlyFirst)) => CutTexts::OnlyFirst,
            Some(Switch::Named(Truncation::OnlySecond)) => CutTexts::OnlySecond,
        };
        let tokens = self.max_length.map_or(most_tokens, Count::get);
        Some(Cut { texts, tokens })
    }
}

impl TextInput {
    fn parts(&self) -> impl Iterator<Item = &TextPart> {
        std::iter::once(&self.first).chain(&self.second)
    }
}

/// Reads a string, `{"text", "text_pair"}`, or `[["text", "text_pair"]]`, which the pipeline still accepts.
fn texts(value: Value, place: &str) -> Result<TextInput, ServiceError> {
    let part = |text: String, path: &'static str| TextPart { text, path };
    // transformers treats an empty second text as absent.
    let second = |text: String, path| (!text.is_empty()).then(|| part(text, path));
    let (first, second) = match value {
        Value::Object(_) => {
            let Object(Pair { text, text_pair }) = json::read(value, place)?;
            let text_pair = text_pair.unwrap_or_default();
            (part(text, ".text"), second(text_pair, ".text_pair"))
        }
        Value::Array(nested) if matches!(nested.as_slice(), [Value::Array(_)]) => {
            let [(text, text_pair)]: [(String, String); 1] = json::read(nested.into(), place)?;
            (part(text, "[0][0]"), second(text_pair, "[0][1]"))
        }
        Value::Array(_) => {
            return Err(ServiceError::InvalidType {
                place: format!("`{place}`"),
                reason: "a pair of texts is written as {\"text\": \"…\", \"text_pair\": \"…\"}"
                    .to_owned(),
            });
        }
        text => (part(json::read(text, place)?, ""), None),
    };
    Ok(TextInput {
        place: place.to_owned(),
        first,
        second,
    })
}
