//! transformers' question-answering pipeline.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::super::input::check_length;
use super::super::windowed::slice;
use super::budget::{fewest_new_tokens, is_affordable};
use super::output::{PipelineAnswer, PipelineAnswers, PipelineOutput};
use super::parameters::{self, BatchSize, NumWorkers, Padding, Switch, Truncation, unusable};
use super::pipeline::Pipeline;
use super::questions::{Item, items};
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::fields::Count;
use crate::heads::qa_bounds::{MAX_TOP_K, WINDOW_TOKENS, check_top_k};
use crate::heads::qa_pipeline::{PipelineWindow, WindowSpan, best_spans};
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::text::sequence::pair;
use crate::text::windows::{self, Window};
use crate::text::{OffsetEncoding, OffsetMap, TokenizedText};

/// Default overlap of two windows in tokens, at most half a window.
const DEFAULT_STRIDE: usize = 128;
/// Default length of the longest answer in tokens.
const DEFAULT_ANSWER_TOKENS: usize = 15;
/// `[CLS] question [SEP] context [SEP]`.
const SPECIAL_TOKENS: usize = 3;

/// Parameters of question-answering.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The number of answers to return, best first.
    #[schemars(extend("maximum" = MAX_TOP_K, "default" = 1))]
    top_k: Option<Count<1>>,
    /// The older name of `top_k`, used if `top_k` is absent.
    #[schemars(extend("maximum" = MAX_TOP_K))]
    topk: Option<Count<1>>,
    /// The overlap of neighbouring windows of a long context, in tokens. Must be less than the room that the question
    /// leaves in a window.
    #[schemars(extend("default" = DEFAULT_STRIDE))]
    doc_stride: Option<Count<0>>,
    /// The length of the longest answer, in tokens.
    #[schemars(extend("default" = DEFAULT_ANSWER_TOKENS))]
    max_answer_len: Option<Count<1>>,
    /// The length of the longest window in tokens, question included. Clamped to the model's limit.
    #[schemars(extend("default" = WINDOW_TOKENS))]
    max_seq_len: Option<Count<1>>,
    /// No effect, as with transformers' fast tokenizers: questions are not truncated.
    #[serde(rename = "max_question_len")]
    _max_question_len: Option<Count<1>>,
    /// Whether the case of no answer is included, as an empty answer.
    #[schemars(extend("default" = false))]
    handle_impossible_answer: Option<bool>,
    /// Whether answers are widened to whole words.
    #[schemars(extend("default" = true))]
    align_to_words: Option<bool>,
    /// No effect on the answer: padding is masked.
    #[serde(rename = "padding")]
    _padding: Option<Switch<Padding>>,
    /// No effect, as with transformers: long contexts are split into windows.
    #[serde(rename = "truncation")]
    _truncation: Option<Switch<Truncation>>,
    /// No effect, as with transformers: `max_seq_len` sets the length of windows.
    #[serde(rename = "max_length")]
    _max_length: Option<Count<1>>,
    /// No effect: the server batches requests itself.
    #[serde(rename = "batch_size")]
    _batch_size: Option<BatchSize>,
    /// No effect: the server batches requests itself.
    #[serde(rename = "num_workers")]
    _num_workers: Option<NumWorkers>,
}

pub(super) struct QuestionAnswering {
    choice: AnswerChoice,
    cut: WindowCut,
}

/// How contexts are split into windows.
#[derive(Clone, Copy)]
struct WindowCut {
    window_tokens: usize,
    /// The longest sequence that the model reads.
    model_tokens: usize,
    stride: usize,
    /// Whether the request set the stride.
    stride_is_asked: bool,
}

/// How answers are chosen.
struct AnswerChoice {
    top_k: usize,
    max_answer_tokens: NonZeroUsize,
    no_answer: bool,
    whole_words: bool,
}

/// A tokenized question and context, and the context's windows.
pub(super) struct PreparedItem {
    question: Vec<u32>,
    context: Arc<str>,
    tokens: TokenizedText,
    windows: Vec<Window>,
}

impl Pipeline for QuestionAnswering {
    type Input = Item;
    type Prepared = Vec<PreparedItem>;
    type Result = PipelineAnswers;

    fn read(
        inputs: Value,
        parameters: Option<Value>,
        model: &LoadedModel,
    ) -> Result<(Self, Vec<Item>), ServiceError> {
        let parameters: Parameters = parameters::read(parameters, &[])?;
        let cut = WindowCut::of(&parameters, model)?;
        let choice = AnswerChoice::of(&parameters)?;
        let limits = &model.info.limits;
        let items = items(inputs)?;
        items.check_count("inputs", limits)?;
        for part in items.items().iter().flat_map(Item::parts) {
            if part.text.is_empty() {
                let place = part.place.clone();
                return Err(ServiceError::EmptyText { place });
            }
            check_length(&part.text, limits, || part.place.clone())?;
        }
        let items = items.into_items();
        // A context shared by many questions is read once per question, so the total is checked too.
        if items.iter().map(Self::bytes).sum::<usize>() > limits.max_body_bytes {
            let limit = limits.max_body_bytes;
            return Err(ServiceError::BodyTooLarge { limit });
        }
        Ok((Self { choice, cut }, items))
    }

    fn bytes(item: &Item) -> usize {
        item.parts().map(|part| part.text.len()).sum()
    }

    fn prepare(
        &self,
        items: Vec<Item>,
        model: &LoadedModel,
    ) -> Result<(Vec<PreparedItem>, Vec<Sequence>), ServiceError> {
        let special = model.tokenizer.special_tokens();
        let mut sequences = Vec::new();
        let mut prepared = Vec::with_capacity(items.len());
        for Item { question, context } in items {
            let tokenize = |text| {
                let tokens = model.tokenizer.tokenize(text);
                tokens.map_err(ServiceError::internal)
            };
            let place = question.place;
            let question = tokenize(&question.text)?.ids;
            let tokens = tokenize(&context.text)?;
            let windows = self.cut.windows(question.len(), tokens.len(), place)?;
            let sequence =
                |window: &Window| pair(special, &question, &tokens.ids[window.tokens.clone()]);
            sequences.extend(windows.iter().map(sequence));
            prepared.push(PreparedItem {
                question,
                context: context.text,
                tokens,
                windows,
            });
        }
        Ok((prepared, sequences))
    }

    fn decode(
        &self,
        items: Vec<PreparedItem>,
        model: &LoadedModel,
        outputs: &[SequenceOutput],
    ) -> Result<Vec<PipelineAnswers>, ServiceError> {
        let cls = model.tokenizer.special_tokens().cls;
        let mut outputs = outputs;
        let mut results = Vec::with_capacity(items.len());
        for item in &items {
            let (own, others) = outputs.split_at(item.windows.len().min(outputs.len()));
            outputs = others;
            results.push(item.answers(own, cls, &self.choice));
        }
        Ok(results)
    }

    fn output(&self, mut results: Vec<PipelineAnswers>) -> PipelineOutput {
        match results.pop() {
            // A list of one question is answered like a single question.
            Some(only) if results.is_empty() => PipelineOutput::Answers(only),
            last => {
                results.extend(last);
                PipelineOutput::AnswerLists(results)
            }
        }
    }
}

impl AnswerChoice {
    fn of(parameters: &Parameters) -> Result<Self, ServiceError> {
        let (name, top_k) = match (parameters.top_k, parameters.topk) {
            (None, Some(topk)) => ("topk", Some(topk)),
            (top_k, _) => ("top_k", top_k),
        };
        let top_k = top_k.map_or(NonZeroUsize::MIN, NonZeroUsize::from);
        check_top_k(top_k).map_err(|error| unusable(name, error.to_string()))?;
        let asked = parameters.max_answer_len.map(NonZeroUsize::from);
        let usual = NonZeroUsize::new(DEFAULT_ANSWER_TOKENS).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            top_k: top_k.get(),
            max_answer_tokens: asked.unwrap_or(usual),
            no_answer: parameters.handle_impossible_answer.unwrap_or(false),
            whole_words: parameters.align_to_words.unwrap_or(true),
        })
    }

    /// How many spans to decode per window. More than `top_k`, because different spans may widen to the same words.
    fn spans_a_window(&self) -> NonZeroUsize {
        let spans = if self.whole_words {
            self.top_k * 2 + 10
        } else {
            self.top_k
        };
        NonZeroUsize::new(spans).unwrap_or(NonZeroUsize::MIN)
    }
}

impl WindowCut {
    fn of(parameters: &Parameters, model: &LoadedModel) -> Result<Self, ServiceError> {
        let most = model.info.max_tokens;
        // transformers fails if a window is longer than the model's limit; here it is clamped.
        let window_tokens = parameters
            .max_seq_len
            .map_or(WINDOW_TOKENS, Count::get)
            .min(most);
        let asked = parameters.doc_stride.map(Count::get);
        match asked {
            Some(stride) if stride > window_tokens.saturating_sub(2) => Err(bad_stride(format!(
                "it is {stride}, and windows of {window_tokens} tokens, special ones included, can't overlap by as many"
            ))),
            _ => Ok(Self {
                window_tokens,
                model_tokens: most,
                stride: asked.unwrap_or(DEFAULT_STRIDE.min(window_tokens / 2)),
                stride_is_asked: asked.is_some(),
            }),
        }
    }

    /// Splits a context into windows. `question` and `context` are lengths in tokens; `place` is the question's path.
    fn windows(
        &self,
        question: usize,
        context: usize,
        place: String,
    ) -> Result<Vec<Window>, ServiceError> {
        let whole = self.window_tokens.saturating_sub(SPECIAL_TOKENS);
        if question + context <= whole {
            return Ok(windows::split(context, NonZeroUsize::MAX, 0));
        }
        let room = whole.saturating_sub(question);
        if let Some(room) = NonZeroUsize::new(room).filter(|room| room.get() > self.stride) {
            let windows = windows::split(context, room, self.stride);
            if is_affordable(&windows, self.window_tokens, self.model_tokens) {
                return Ok(windows);
            }
        }
        let fewest = fewest_new_tokens(self.window_tokens);
        let longest = whole.saturating_sub(self.stride + fewest);
        if self.stride_is_asked && question <= whole.saturating_sub(fewest) {
            return Err(bad_stride(format!(
                "with a question of {question} tokens, windows of {} tokens can overlap by at most {}",
                self.window_tokens,
                whole - question - fewest
            )));
        }
        Err(ServiceError::QuestionTooLong {
            place,
            length: question,
            limit: longest,
        })
    }
}

fn bad_stride(reason: String) -> ServiceError {
    unusable("doc_stride", reason)
}

impl PreparedItem {
    /// Merges the answers of all windows. Texts that are equal except for case are one answer, with the offsets of the
    /// first and the sum of their scores.
    fn answers(
        &self,
        outputs: &[SequenceOutput],
        cls: u32,
        choice: &AnswerChoice,
    ) -> PipelineAnswers {
        let offsets = OffsetMap::new(&self.context, OffsetEncoding::Codepoint);
        let mut no_answer_score: Option<f32> = None;
        let mut answers: Vec<PipelineAnswer> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (window, output) in self.windows.iter().zip(outputs) {
            let view = View { item: self, window };
            let counted = view.counted(cls);
            let found = best_spans(
                &PipelineWindow {
                    logits: &output.logits,
                    counted: &counted,
                    context: view.context(),
                },
                choice.spans_a_window(),
                choice.max_answer_tokens,
            );
            let lowest = no_answer_score.map_or(found.no_answer_score, |score| {
                score.min(found.no_answer_score)
            });
            no_answer_score = Some(lowest);
            for span in found.spans {
                let bytes = view.bytes(span, choice.whole_words);
                let range = offsets.convert(bytes.clone());
                let answer = slice(&self.context, bytes).to_owned();
                let score = f64::from(span.score);
                let index = *known.entry(answer.to_lowercase()).or_insert(answers.len());
                match answers.get_mut(index) {
                    Some(answer) => answer.score += score,
                    None => answers.push(PipelineAnswer {
                        score,
                        start: range.start,
                        end: range.end,
                        answer,
                    }),
                }
            }
        }
        let nothing = |score| PipelineAnswer {
            score,
            start: 0,
            end: 0,
            answer: String::new(),
        };
        if choice.no_answer {
            answers.push(nothing(f64::from(no_answer_score.unwrap_or(1.0))));
        } else if answers.is_empty() {
            // The context is only white space.
            answers.push(nothing(0.0));
        }
        // The sort is stable: of equal scores, the first answer found stays first.
        answers.sort_by(|a, b| b.score.total_cmp(&a.score));
        answers.truncate(choice.top_k);
        match answers.pop() {
            Some(only) if answers.is_empty() => PipelineAnswers::One(only),
            last => {
                answers.extend(last);
                PipelineAnswers::Several(answers)
            }
        }
    }
}

/// A window of an item, and the positions in its sequence.
struct View<'a> {
    item: &'a PreparedItem,
    window: &'a Window,
}

impl View<'_> {
    /// Positions of the context.
    fn context(&self) -> Range<usize> {
        // [CLS] question [SEP]
        let before = self.item.question.len() + 2;
        before..before + self.window.tokens.len()
    }

    /// Positions that the softmaxes include: the context and every `[CLS]`, even one that the question's text contains.
    fn counted(&self, cls: u32) -> Vec<bool> {
        let question = self.item.question.iter().map(|id| *id == cls);
        let context = std::iter::repeat_n(true, self.window.tokens.len());
        let before = std::iter::once(true).chain(question);
        before
            .chain([false])
            .chain(context)
            .chain([false])
            .collect()
    }

    /// The bytes of the context that a span covers. Of a word that the window splits, only the part in the window
    /// counts.
    fn bytes(&self, span: WindowSpan, whole_words: bool) -> Range<usize> {
        let TokenizedText { offsets, words, .. } = &self.item.tokens;
        let token = |position: usize| {
            self.window.tokens.start + position.saturating_sub(self.context().start)
        };
        let (first, last) = (token(span.first), token(span.last));
        let (mut start, mut end) = (first, last);
        if whole_words && words[first].is_some() && words[last].is_some() {
            while start > self.window.tokens.start && words[start - 1] == words[first] {
                start -= 1;
            }
            while end + 1 < self.window.tokens.end && words[end + 1] == words[last] {
                end += 1;
            }
        }
        offsets[start].start..offsets[end].end
    }
}
