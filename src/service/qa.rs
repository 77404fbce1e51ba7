//! Extractive question answering: finds the spans of a context that answer a question.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};

use super::chunk::Chunk;
use super::context::RequestContext;
use super::handle::{Service, Target};
use super::input::{Inputs, check_length, objects, several, visible_text};
use super::operation::{Answer, Operation, RequestOption, Results, TaskOperation};
use super::steps::{Steps, joined};
use super::windowed::slice;
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::fields::Count;
use crate::heads::qa::{QaOptions, QaWindow, Span, decode};
use crate::heads::qa_bounds::{
    DEFAULT_ANSWER_TOKENS, DEFAULT_STRIDE, MAX_TOP_K, WINDOW_TOKENS, check_stride, check_top_k,
};
use crate::inference::Sequence;
use crate::limits::Limits;
use crate::model_folder::RequestDefaults;
use crate::registry::LoadedModel;
use crate::task::Task;
use crate::text::sequence::pair;
use crate::text::windows::{self, Window};
use crate::text::{OffsetEncoding, OffsetMap, TokenizedText};

/// Spans decoded per requested answer. More than one, because spans that widen to the same words count once.
const SPANS_AN_ANSWER: usize = 4;

/// One question with its context, or a list of them, and options.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QaRequest {
    /// The question.
    #[schemars(schema_with = "visible_text")]
    pub question: Option<String>,
    /// The text that contains the answer.
    #[schemars(schema_with = "visible_text")]
    pub context: Option<String>,
    /// Questions with their contexts.
    #[schemars(schema_with = "items_schema")]
    #[serde(default, deserialize_with = "listed")]
    pub items: Option<Inputs<QaItem>>,
    /// The name or an alias of a model of this task, optionally followed by `@` and a version. If absent, the task's
    /// default model.
    pub model: Option<String>,
    /// The number of answers to return, best first.
    #[schemars(extend("maximum" = MAX_TOP_K, "default" = 1))]
    pub top_k: Option<Count<1>>,
    /// Whether no answer may win: if `no_answer_score` is then higher than the best answer's score, `answers` is empty.
    #[schemars(extend("default" = false))]
    pub no_answer: Option<bool>,
    /// The length of the longest answer, in tokens.
    #[schemars(extend("default" = DEFAULT_ANSWER_TOKENS))]
    pub max_answer_tokens: Option<Count<1>>,
    /// The overlap of neighbouring windows of a long context, in tokens. At most half a window; windows are shorter if
    /// the model's limit is lower.
    #[schemars(extend("maximum" = WINDOW_TOKENS / 2, "default" = DEFAULT_STRIDE))]
    pub stride: Option<Count<0>>,
    #[schemars(extend("default" = OffsetEncoding::default()))]
    pub offsets: Option<OffsetEncoding>,
}

/// A question and the context that contains its answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QaItem {
    /// The question.
    #[schemars(schema_with = "visible_text")]
    pub question: String,
    /// The text that contains the answer.
    #[schemars(schema_with = "visible_text")]
    pub context: String,
}

/// The answers to one question.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct QaAnswers {
    /// The answers, best first. Empty if `no_answer` is set and `no_answer_score` is higher than the best answer's
    /// score.
    pub answers: Vec<AnswerSpan>,
    /// The probability that the context does not answer the question.
    #[schemars(range(min = 0, max = 1))]
    pub no_answer_score: f32,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AnswerSpan {
    /// The answer: a span of whole words in the context.
    pub text: String,
    /// The probability of this span among all spans of the context and the case of no answer, which together sum to 1.
    #[schemars(range(min = 0, max = 1))]
    pub score: f32,
    /// The start offset in the context as sent.
    pub start: usize,
    /// The end offset, exclusive.
    pub end: usize,
}

/// How answers are chosen, and the unit of their offsets.
#[derive(Clone, Copy)]
struct AnswerOptions {
    top_k: NonZeroUsize,
    max_answer_tokens: NonZeroUsize,
    no_answer: bool,
    offsets: OffsetEncoding,
}

fn items_schema(generator: &mut SchemaGenerator) -> Schema {
    several(&generator.subschema_for::<QaItem>())
}

fn listed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Inputs<QaItem>>, D::Error> {
    Ok(objects(deserializer)?.map(Inputs::many))
}

impl Operation for QaRequest {
    type Output = Results<QaAnswers>;

    fn find(&self, service: &Service) -> Target {
        service.find(Self::TASK, self.model.as_deref())
    }

    async fn run(
        self,
        service: &Service,
        model: Arc<LoadedModel>,
        context: &RequestContext,
    ) -> Result<Answer<Self::Output>, ServiceError> {
        let defaults = &model.info.defaults;
        let choice = choice(&self, defaults)?;
        let stride = self.stride.or(defaults.stride).map(Count::get);
        // With more than half a window of overlap, most of the context would run more than twice.
        check_stride(stride, window_tokens(&model))?;
        let items = items(self)?;
        check(&items, &model.info.limits)?;
        let choose_all = move |_: &LoadedModel, items: Vec<TokenizedItem>, outputs: Vec<_>| {
            let mut outputs = outputs.as_slice();
            let mut results = Vec::with_capacity(items.len());
            for item in &items {
                let (own, others) = outputs.split_at(item.windows.len());
                results.push(choose(item, own, choice));
                outputs = others;
            }
            Ok(results)
        };
        let items = Arc::new(items);
        let chunks = Chunk::divide((0..items.items().len()).collect(), |index| {
            let QaItem { question, context } = &items.items()[*index];
            question.len() + context.len()
        });
        let steps = Steps {
            prepare: move |model: &LoadedModel, indices: Vec<usize>| {
                prepare_all(model, &items, &indices, stride)
            },
            decode: choose_all,
        };
        let outcome = service.run_steps(&model, chunks, steps, context).await?;
        Ok(Answer::of_model(&model, joined(outcome)))
    }
}

impl TaskOperation for QaRequest {
    const TASK: Task = Task::Qa;
    const OPTIONS: &'static [RequestOption] = &[
        RequestOption::scalar("top_k"),
        RequestOption::scalar("no_answer"),
        RequestOption::scalar("max_answer_tokens"),
        RequestOption::scalar("stride"),
        RequestOption::string("offsets"),
    ];
    type Result = QaAnswers;
}

/// A tokenized question and context, and the context's windows.
struct TokenizedItem {
    question_tokens: usize,
    context: String,
    tokens: TokenizedText,
    windows: Vec<Window>,
}

fn choice(request: &QaRequest, defaults: &RequestDefaults) -> Result<AnswerOptions, ServiceError> {
    let top_k = request.top_k.or(defaults.top_k);
    let top_k = top_k.map_or(NonZeroUsize::MIN, NonZeroUsize::from);
    check_top_k(top_k)?;
    Ok(AnswerOptions {
        top_k,
        max_answer_tokens: request
            .max_answer_tokens
            .or(defaults.max_answer_tokens)
            .map(NonZeroUsize::from)
            .or(NonZeroUsize::new(DEFAULT_ANSWER_TOKENS))
            .unwrap_or(NonZeroUsize::MIN),
        no_answer: request.no_answer.or(defaults.no_answer).unwrap_or(false),
        offsets: request.offsets.or(defaults.offsets).unwrap_or_default(),
    })
}

/// Reads the items. A request uses exactly one of its two forms.
fn items(request: QaRequest) -> Result<Inputs<QaItem>, ServiceError> {
    let missing = |field: &str| ServiceError::MissingField {
        place: "The request".to_owned(),
        field: field.to_owned(),
    };
    match (request.question, request.context, request.items) {
        (Some(question), Some(context), None) => Ok(Inputs::one(QaItem { question, context })),
        (None, None, Some(items)) => Ok(items),
        (None, None | Some(_), None) => Err(missing("question")),
        (Some(_), None, None) => Err(missing("context")),
        (_, _, Some(_)) => Err(ServiceError::InvalidValue {
            place: "`items`".to_owned(),
            reason:
                "it is sent together with `question` or `context`; send either these two or `items`"
                    .to_owned(),
        }),
    }
}

/// Path of an item's field: `question`, `items[3].question` or `question[3]`.
fn place(items: &Inputs<QaItem>, index: usize, field: &str) -> String {
    if items.is_list() {
        items.place_of_part("items", index, field, &format!(".{field}"))
    } else {
        field.to_owned()
    }
}

fn check(items: &Inputs<QaItem>, limits: &Limits) -> Result<(), ServiceError> {
    items.check_count("items", limits)?;
    for (index, item) in items.items().iter().enumerate() {
        check_length(&item.question, limits, || place(items, index, "question"))?;
        check_length(&item.context, limits, || place(items, index, "context"))?;
    }
    Ok(())
}

fn window_tokens(model: &LoadedModel) -> usize {
    model.info.max_tokens.min(WINDOW_TOKENS)
}

fn prepare_all(
    model: &LoadedModel,
    items: &Inputs<QaItem>,
    indices: &[usize],
    stride: Option<usize>,
) -> Result<(Vec<TokenizedItem>, Vec<Sequence>), ServiceError> {
    let special = model.tokenizer.special_tokens();
    let tokenize = |text: &str, index: usize, field: &str| {
        let tokens = model
            .tokenizer
            .tokenize(text)
            .map_err(ServiceError::internal)?;
        if tokens.ids.is_empty() {
            return Err(ServiceError::EmptyText {
                place: place(items, index, field),
            });
        }
        Ok(tokens)
    };
    let mut sequences = Vec::new();
    let mut prepared = Vec::with_capacity(indices.len());
    for &index in indices {
        let item = &items.items()[index];
        let question = tokenize(&item.question, index, "question")?;
        let tokens = tokenize(&item.context, index, "context")?;
        let windows = split(
            question.ids.len(),
            tokens.ids.len(),
            window_tokens(model),
            stride,
        )
        .map_err(|limit| ServiceError::QuestionTooLong {
            place: place(items, index, "question"),
            length: question.ids.len(),
            limit,
        })?;
        sequences.extend(
            windows
                .iter()
                .map(|window| pair(special, &question.ids, &tokens.ids[window.tokens.clone()])),
        );
        let (question_tokens, context) = (question.ids.len(), item.context.clone());
        prepared.push(TokenizedItem {
            question_tokens,
            context,
            tokens,
            windows,
        });
    }
    Ok((prepared, sequences))
}

/// Splits a context into windows that fit beside the question in `window` tokens. The error is the longest question
/// that would fit.
///
/// A context that does not fit whole is left at least an eighth of the window. With less, a long context could need as
/// many windows as it has tokens.
fn split(
    question: usize,
    context: usize,
    window: usize,
    stride: Option<usize>,
) -> Result<Vec<Window>, usize> {
    // [CLS] question [SEP] context [SEP]
    let whole = window.saturating_sub(3);
    let needed = context.min((window / 8).max(1));
    let longest_question = whole.saturating_sub(needed);
    match NonZeroUsize::new(whole.saturating_sub(question)) {
        Some(room) if question <= longest_question => {
            let stride = stride.unwrap_or(DEFAULT_STRIDE.min(window / 2));
            Ok(windows::split(context, room, stride.min(room.get() / 2)))
        }
        _ => Err(longest_question),
    }
}

fn choose(item: &TokenizedItem, outputs: &[SequenceOutput], choice: AnswerOptions) -> QaAnswers {
    // [CLS] question [SEP]
    let before = item.question_tokens + 2;
    let windows: Vec<QaWindow<'_>> = item
        .windows
        .iter()
        .zip(outputs)
        .map(|(window, output)| QaWindow {
            logits: &output.logits,
            context: before..before + window.tokens.len(),
            first_context_token: window.tokens.start,
        })
        .collect();
    let top_k = choice
        .top_k
        .saturating_mul(NonZeroUsize::MIN.saturating_add(SPANS_AN_ANSWER - 1));
    let decoded = decode(
        &windows,
        QaOptions {
            top_k,
            max_answer_tokens: choice.max_answer_tokens,
        },
    );
    let best = decoded.spans.first().map_or(0.0, |span| span.score);
    if choice.no_answer && decoded.no_answer_score > best {
        return QaAnswers {
            answers: Vec::new(),
            no_answer_score: decoded.no_answer_score,
        };
    }
    let offsets = OffsetMap::new(&item.context, choice.offsets);
    let mut taken: Vec<Range<usize>> = Vec::new();
    let mut answers = Vec::new();
    for Span { tokens, score, .. } in decoded.spans {
        let words = whole_words(&item.tokens, tokens);
        if answers.len() == choice.top_k.get() || taken.contains(&words) {
            continue;
        }
        let bytes = item.tokens.offsets[words.start].start..item.tokens.offsets[words.end - 1].end;
        let range = offsets.convert(bytes.clone());
        let text = slice(&item.context, bytes).to_owned();
        answers.push(AnswerSpan {
            text,
            score,
            start: range.start,
            end: range.end,
        });
        taken.push(words);
    }
    QaAnswers {
        answers,
        no_answer_score: decoded.no_answer_score,
    }
}

/// Widens a span to whole words, as transformers' `align_to_words` does.
fn whole_words(context: &TokenizedText, span: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = span;
    while context.continues_word(start) {
        start -= 1;
    }
    while context.continues_word(end) {
        end += 1;
    }
    start..end
}

#[cfg(test)]
mod tests;
