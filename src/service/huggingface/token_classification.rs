//! transformers' token-classification pipeline.

use std::num::NonZeroUsize;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::super::input::check_length;
use super::super::json;
use super::super::tag::{IGNORED_LABELS, continues_word};
use super::super::windowed::{OVERLAP, rows, slice};
use super::budget::{fewest_new_tokens, is_affordable};
use super::output::{EntityLabel, PipelineEntity, PipelineOutput};
use super::parameters::{self, BatchSize, NumWorkers, Refused, any_case};
use super::pipeline::{self, Pipeline};
use super::words::{Text, split_into_words};
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::fields::{Aggregation, Count};
use crate::heads::tag::{Entity, Grouping, TaggedToken, entities};
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::text::sequence::single;
use crate::text::windows::{self, Window};
use crate::text::{OffsetEncoding, OffsetMap, TokenizedText};

/// Parameters of token-classification.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How tokens are grouped. Case is ignored.
    #[schemars(extend("x-any-case" = true, "default" = Aggregation::None))]
    #[serde(default, deserialize_with = "any_case")]
    aggregation_strategy: Option<Aggregation>,
    /// Labels to omit.
    #[schemars(extend("default" = IGNORED_LABELS))]
    ignore_labels: Option<Vec<String>>,
    /// The overlap of neighbouring windows of a long text, in tokens. Must be less than a window. If set, each window
    /// is tagged separately. Can't be combined with the strategy `none`.
    stride: Option<Count<0>>,
    /// The predecessor of `aggregation_strategy`, which it overrides: true means `simple`, false `none`.
    grouped_entities: Option<bool>,
    /// If `grouped_entities` is true, true means the strategy `first`. Otherwise the strategy is `none`.
    ignore_subwords: Option<bool>,
    /// Whether each text is a list of words. A single list is then answered with a list of one result.
    #[schemars(extend("default" = false))]
    is_split_into_words: Option<bool>,
    /// The separator of these words in the text that offsets refer to.
    #[schemars(extend("default" = " "))]
    delimiter: Option<String>,
    /// No effect: the server batches requests itself.
    #[serde(rename = "batch_size")]
    _batch_size: Option<BatchSize>,
    /// No effect: the server batches requests itself.
    #[serde(rename = "num_workers")]
    _num_workers: Option<NumWorkers>,
}

const REFUSED: &[Refused] = &[
    ("max_length", WHOLE_TEXTS),
    (
        "offset_mapping",
        "offsets are those of the model's own tokenizer",
    ),
    ("padding", WHOLE_TEXTS),
    ("truncation", WHOLE_TEXTS),
];
const WHOLE_TEXTS: &str = "this pipeline has no such parameter in transformers either, and texts are tagged to their end \
                           here, in windows; leave it out";

pub(super) struct TokenClassification {
    /// Whether the answer is a list of lists, one per text.
    is_list: bool,
    choice: EntityChoice,
    /// If set, each window is tagged separately.
    stride: Option<usize>,
}

/// How logits become entities.
struct EntityChoice {
    aggregation: Aggregation,
    ignored: Vec<String>,
}

/// A text, its tokens and their windows. A text without tokens has no windows.
pub(super) struct Windowed {
    text: String,
    tokens: TokenizedText,
    windows: Vec<Window>,
}

impl Pipeline for TokenClassification {
    type Input = Text;
    type Prepared = Vec<Windowed>;
    type Result = Vec<PipelineEntity>;

    fn read(
        inputs: Value,
        parameters: Option<Value>,
        model: &LoadedModel,
    ) -> Result<(Self, Vec<Text>), ServiceError> {
        let parameters: Parameters = parameters::read(parameters, REFUSED)?;
        let strategy = parameters.strategy();
        let stride = parameters.stride.map(Count::get);
        check_stride(stride, strategy, model)?;
        let is_split = parameters.is_split_into_words.unwrap_or(false);
        let limits = &model.info.limits;
        let texts = if is_split {
            let delimiter = parameters.delimiter.as_deref().unwrap_or(" ");
            split_into_words(inputs, delimiter, limits)?
        } else {
            pipeline::inputs(inputs, |value, place| {
                json::read(value, place).map(Text::whole)
            })?
        };
        texts.check_count("inputs", limits)?;
        for (index, text) in texts.items().iter().enumerate() {
            check_length(text.as_str(), limits, || texts.place("inputs", index))?;
        }
        let ignored = parameters.ignore_labels.unwrap_or_else(|| {
            let labels = IGNORED_LABELS.iter();
            labels.map(|label| (*label).to_owned()).collect()
        });
        let pipeline = Self {
            // A single list of words is answered with a list too.
            is_list: is_split || texts.is_list(),
            choice: EntityChoice {
                // The pipeline's default differs from that of /tag.
                aggregation: strategy.unwrap_or(Aggregation::None),
                ignored,
            },
            stride,
        };
        Ok((pipeline, texts.into_items()))
    }

    fn bytes(text: &Text) -> usize {
        text.as_str().len()
    }

    fn prepare(
        &self,
        texts: Vec<Text>,
        model: &LoadedModel,
    ) -> Result<(Vec<Windowed>, Vec<Sequence>), ServiceError> {
        let special = model.tokenizer.special_tokens();
        let room = room(model);
        let overlap = self.stride.unwrap_or(OVERLAP.min(room.get() / 2));
        let mut sequences = Vec::new();
        let mut windowed = Vec::with_capacity(texts.len());
        for text in texts {
            let tokens = text.tokenize(&model.tokenizer);
            let tokens = tokens.map_err(ServiceError::internal)?;
            let windows = match tokens.len() {
                0 => Vec::new(),
                count => windows::split(count, room, overlap),
            };
            if !is_affordable(&windows, model.info.max_tokens, model.info.max_tokens) {
                let most = room
                    .get()
                    .saturating_sub(fewest_new_tokens(model.info.max_tokens));
                return Err(bad_stride(format!(
                    "with windows that overlap by {overlap} tokens, a text of this length would be run many times over; \
                     for this text it can be at most {most}"
                )));
            }
            let ids = |window: &Window| single(special, &tokens.ids[window.tokens.clone()]);
            sequences.extend(windows.iter().map(ids));
            windowed.push(Windowed {
                text: text.into_string(),
                tokens,
                windows,
            });
        }
        Ok((windowed, sequences))
    }

    fn decode(
        &self,
        texts: Vec<Windowed>,
        model: &LoadedModel,
        outputs: &[SequenceOutput],
    ) -> Result<Vec<Vec<PipelineEntity>>, ServiceError> {
        let mut outputs = outputs;
        let mut results = Vec::with_capacity(texts.len());
        for text in &texts {
            let (own, others) = outputs.split_at(text.windows.len().min(outputs.len()));
            outputs = others;
            results.push(if self.stride.is_some() {
                tag_by_window(text, own, model, &self.choice)?
            } else {
                tag_whole(text, own, model, &self.choice)?
            });
        }
        Ok(results)
    }

    fn output(&self, mut results: Vec<Vec<PipelineEntity>>) -> PipelineOutput {
        match results.pop() {
            Some(only) if !self.is_list => PipelineOutput::Entities(only),
            last => {
                results.extend(last);
                PipelineOutput::EntityLists(results)
            }
        }
    }
}

/// Tokens of a text that fit in a window, without `[CLS]` and `[SEP]`.
fn room(model: &LoadedModel) -> NonZeroUsize {
    NonZeroUsize::new(model.info.max_tokens.saturating_sub(2)).unwrap_or(NonZeroUsize::MIN)
}

fn bad_stride(reason: String) -> ServiceError {
    parameters::unusable("stride", reason)
}

impl Parameters {
    /// The requested strategy. If either of the older parameters is set, it overrides `aggregation_strategy`.
    fn strategy(&self) -> Option<Aggregation> {
        let (grouped, ignored) = (self.grouped_entities, self.ignore_subwords);
        if grouped.is_none() && ignored.is_none() {
            return self.aggregation_strategy;
        }
        Some(match (grouped.unwrap_or(false), ignored.unwrap_or(false)) {
            (true, true) => Aggregation::First,
            (true, false) => Aggregation::Simple,
            (false, _) => Aggregation::None,
        })
    }
}

fn check_stride(
    stride: Option<usize>,
    aggregation: Option<Aggregation>,
    model: &LoadedModel,
) -> Result<(), ServiceError> {
    let room = room(model);
    match stride {
        Some(stride) if stride >= room.get() => Err(bad_stride(format!(
            "it is {stride}, and windows of {} tokens, two of them special, can overlap by at most {}",
            model.info.max_tokens,
            room.get() - 1
        ))),
        Some(_) if aggregation == Some(Aggregation::None) => Err(bad_stride(
            "it is sent together with the strategy `none`; leave it out, since texts are tagged to their end \
             without it, or choose another strategy"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Tags a whole text. Tokens of the first window use its logits, as in transformers, which reads no further. Later
/// tokens use the window with the most context.
fn tag_whole(
    text: &Windowed,
    outputs: &[SequenceOutput],
    model: &LoadedModel,
    choice: &EntityChoice,
) -> Result<Vec<PipelineEntity>, ServiceError> {
    let count = text.tokens.len();
    let best = windows::most_context(&text.windows, count);
    let first_ends = text.windows.first().map_or(0, |window| window.tokens.end);
    let mut logits = Vec::with_capacity(count);
    for (token, best) in best.into_iter().enumerate() {
        let window = if token < first_ends { 0 } else { best };
        let position = token - text.windows[window].tokens.start + 1;
        let output = output(outputs, window)?;
        logits.push(rows(
            output,
            position..position + 1,
            model.info.labels.len(),
        )?);
    }
    read(text, 0..count, &logits, model, choice)
}

/// Tags each window separately, as transformers does with a `stride`. Of overlapping entities, the longest is kept.
fn tag_by_window(
    text: &Windowed,
    outputs: &[SequenceOutput],
    model: &LoadedModel,
    choice: &EntityChoice,
) -> Result<Vec<PipelineEntity>, ServiceError> {
    let width = model.info.labels.len().max(1);
    let mut found = Vec::new();
    for (index, Window { tokens }) in text.windows.iter().enumerate() {
        let rows = rows(output(outputs, index)?, 1..tokens.len() + 1, width)?;
        let rows: Vec<&[f32]> = rows.chunks_exact(width).collect();
        found.extend(read(text, tokens.clone(), &rows, model, choice)?);
    }
    Ok(match text.windows.len() {
        0 | 1 => found,
        _ => longest_of_overlapping(found),
    })
}

fn output(outputs: &[SequenceOutput], window: usize) -> Result<&SequenceOutput, ServiceError> {
    let output = outputs.get(window);
    output.ok_or_else(|| ServiceError::internal("a window has no output"))
}

/// Finds the entities in a range of tokens, given the logits of each.
fn read(
    text: &Windowed,
    stretch: Range<usize>,
    logits: &[&[f32]],
    model: &LoadedModel,
    choice: &EntityChoice,
) -> Result<Vec<PipelineEntity>, ServiceError> {
    let Windowed { text, tokens, .. } = text;
    let tagged: Vec<TaggedToken<'_>> = stretch
        .clone()
        .zip(logits)
        .map(|(token, logits)| TaggedToken {
            logits,
            bytes: tokens.offsets[token].clone(),
            continues_word: continues_word(model, text, tokens, token),
        })
        .collect();
    let piece = |token: usize| {
        let id = tokens.ids[stretch.start + token];
        match model.tokenizer.token(id) {
            Some(piece) if model.tokenizer.unknown_id() != Some(id) => piece,
            _ => slice(text, tagged[token].bytes.clone()).to_owned(),
        }
    };
    let join = |pieces| model.tokenizer.join(pieces).map_err(ServiceError::internal);
    let word = |range: Range<usize>| match choice.aggregation {
        Aggregation::None => Ok(range.map(piece).collect()),
        Aggregation::Simple => join(range.map(piece).collect()),
        Aggregation::First | Aggregation::Average | Aggregation::Max => {
            let mut words: Vec<Vec<String>> = Vec::new();
            for token in range {
                match words.last_mut() {
                    Some(word) if tagged[token].continues_word => word.push(piece(token)),
                    _ => words.push(vec![piece(token)]),
                }
            }
            join(words.into_iter().map(join).collect::<Result<_, _>>()?)
        }
    };
    let offsets = OffsetMap::new(text, OffsetEncoding::Codepoint);
    let entity = |entity: Entity<'_>| {
        let range = offsets.convert(entity.bytes);
        let label = entity.label.to_owned();
        Ok(PipelineEntity {
            label: match choice.aggregation {
                Aggregation::None => EntityLabel::Token {
                    entity: label,
                    index: entity.tokens.start + 1,
                },
                _ => EntityLabel::Group {
                    entity_group: label,
                },
            },
            score: entity.score,
            word: word(entity.tokens)?,
            start: range.start,
            end: range.end,
        })
    };
    let ignored: Vec<&str> = choice.ignored.iter().map(String::as_str).collect();
    let found = entities(
        &tagged,
        &model.info.labels,
        &ignored,
        choice.aggregation,
        Grouping::Pipeline,
    );
    found.into_iter().map(entity).collect()
}

/// Keeps the longest of overlapping entities; of equally long ones, the one with the highest score. Sorts them by
/// position.
pub(super) fn longest_of_overlapping(mut entities: Vec<PipelineEntity>) -> Vec<PipelineEntity> {
    entities.sort_by_key(|entity| entity.start);
    let mut kept: Vec<PipelineEntity> = Vec::with_capacity(entities.len());
    for entity in entities {
        match kept.last_mut() {
            Some(last) if (last.start..last.end).contains(&entity.start) => {
                let length = |entity: &PipelineEntity| entity.end - entity.start;
                let is_longer = length(&entity) > length(last);
                if is_longer || (length(&entity) == length(last) && entity.score > last.score) {
                    *last = entity;
                }
            }
            _ => kept.push(entity),
        }
    }
    kept
}
