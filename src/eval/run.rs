//! Evaluation: runs labelled data through the operations that answer requests, and scores the answers.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::{Device, Precision};
use crate::error::ServiceError;
use crate::eval::data::columns::LabelledText;
use crate::eval::data::conll::TaggedSentence;
use crate::eval::data::replaced::ReplacedText;
use crate::eval::data::squad::Question;
use crate::eval::data::{DataError, Dataset};
use crate::eval::gold;
use crate::eval::metrics::answers::{AnswerScores, Answered};
use crate::eval::metrics::chunks::ChunkCounts;
use crate::eval::metrics::detection::Detection;
use crate::eval::metrics::labels::LabelCounts;
use crate::eval::metrics::numbers;
use crate::eval::scores::{Scores, count};
use crate::eval::words::{JoinedWords, first_tokens};
use crate::fields::{Count, Threshold};
use crate::heads::classify::{ProblemType, rank};
use crate::heads::scheme::{OUTSIDE, Scheme};
use crate::quote::quoted;
use crate::registry::{LoadedModel, ModelInfo};
use crate::service::ScoredText;
use crate::service::{
    Answer, ClassifyInput, ClassifyRequest, DiscriminateRequest, Discrimination, Inputs,
    LabelScore, QaAnswers, QaRequest, RequestContext, Results, Service,
};

/// Inputs in flight at a time, enough to fill the workers' batches.
const IN_FLIGHT: usize = 64;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvalOptions {
    /// The data's names for the model's labels, in the model's order, if they differ.
    pub labels: Option<Vec<String>>,
    /// A token with a score above it counts as replaced. 0.5 if absent.
    pub threshold: Option<Threshold>,
    /// The longest answer in tokens. The default of /qa if absent.
    pub max_answer_tokens: Option<Count<1>>,
}

/// The scores of a model on labelled data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    pub model: String,
    pub precision: Precision,
    pub device: Device,
    /// The number of scored questions, texts or sentences.
    pub inputs: usize,
    pub scores: Scores,
}

/// Why data can't be scored.
#[derive(Debug, Error)]
pub enum EvalError {
    /// The model is not available.
    #[error(transparent)]
    Model(ServiceError),
    /// An input can't be answered, or the model does not have its label.
    #[error("{place}: {reason}")]
    Input {
        /// The place in the data: `line 3`, `question 56be`.
        place: String,
        reason: String,
    },
    /// The data does not fit the model's task or labels.
    #[error("{0}")]
    Unsuited(String),
}

impl From<DataError> for EvalError {
    fn from(error: DataError) -> Self {
        Self::Input {
            place: format!("line {}", error.line),
            reason: error.reason,
        }
    }
}

/// Has a model answer all of the data and scores its answers. `done` is called after each.
///
/// # Errors
/// If the model can't answer or does another task, an input fails, or a label does not belong to the model.
pub async fn evaluate(
    service: &Service,
    model: &str,
    data: &Dataset,
    options: &EvalOptions,
    context: RequestContext,
    done: impl Fn(),
) -> Result<Evaluation, EvalError> {
    let loaded = service.find(data.task(), Some(model)).model;
    let loaded = loaded.map_err(EvalError::Model)?;
    let run = Evaluator {
        service,
        model: &loaded,
        options,
        context,
        done: &done,
    };
    let scores = match data {
        Dataset::Questions(questions) => run.questions(questions).await?,
        Dataset::Texts(texts) => run.texts(texts).await?,
        Dataset::Sentences(sentences) => run.sentences(sentences).await?,
        Dataset::Replaced(texts) => run.replaced(texts).await?,
    };
    let ModelInfo {
        name,
        precision,
        device,
        ..
    } = &loaded.info;
    Ok(Evaluation {
        model: name.clone(),
        precision: *precision,
        device: *device,
        inputs: data.len(),
        scores,
    })
}

/// One evaluation.
struct Evaluator<'a> {
    service: &'a Service,
    model: &'a Arc<LoadedModel>,
    options: &'a EvalOptions,
    context: RequestContext,
    done: &'a dyn Fn(),
}

impl Evaluator<'_> {
    async fn questions(&self, questions: &[Question]) -> Result<Scores, EvalError> {
        let answers = self
            .answers(questions, |question| {
                let (service, context) = (self.service.clone(), self.context.clone());
                let place = format!("question {}", quoted(&question.id));
                let request = QaRequest {
                    question: Some(question.question.clone()),
                    context: Some(question.context.to_string()),
                    model: Some(self.name()),
                    max_answer_tokens: self.options.max_answer_tokens,
                    ..QaRequest::default()
                };
                async move { only(place, service.answer(request, &context).await) }
            })
            .await?;
        let answered: Vec<Answered> = questions
            .iter()
            .zip(&answers)
            .map(|(question, found)| answered(question, found))
            .collect();
        Ok(AnswerScores::new(&answered).scores())
    }

    async fn texts(&self, texts: &[LabelledText]) -> Result<Scores, EvalError> {
        let labels = &self.model.info.labels;
        // Checked before the first run: the model must have every label of the data.
        let gold = self.gold(texts)?;
        let answers = self
            .answers(texts, |text| {
                let (service, context) = (self.service.clone(), self.context.clone());
                let place = format!("line {}", text.line);
                let input = match &text.pair {
                    Some(pair) => ClassifyInput::Pair(text.text.clone(), pair.clone()),
                    None => ClassifyInput::Text(text.text.clone()),
                };
                let request = ClassifyRequest {
                    text: Inputs::one(input),
                    model: Some(self.name()),
                    truncate: Some(true),
                    ..ClassifyRequest::default()
                };
                async move { only(place, service.answer(request, &context).await) }
            })
            .await?;
        let best = answers.iter().map(|answer| answer.labels.first());
        let mut scores = match gold {
            Gold::Numbers(gold) => {
                let found = best.map(|best| best.map_or(f64::NAN, |best| best.score.into()));
                numbers::scores(&gold.into_iter().zip(found).collect::<Vec<_>>())
            }
            Gold::Labels(gold, names) => {
                let index =
                    |label: &LabelScore| labels.iter().position(|name| *name == label.label);
                let found = best.map(|best| best.and_then(index).unwrap_or(labels.len()));
                LabelCounts::new(labels.len(), gold.into_iter().zip(found)).scores(&names)
            }
        };
        let truncated = answers.iter().filter(|answer| answer.truncated).count();
        if truncated > 0 {
            scores.overall.push(count("truncated", truncated));
        }
        Ok(scores)
    }

    /// Converts the texts' labels to the model's terms.
    fn gold(&self, texts: &[LabelledText]) -> Result<Gold, EvalError> {
        let labels = &self.model.info.labels;
        let unsuited = |reason: String| Err(EvalError::Unsuited(reason));
        match (self.model.info.problem_type, labels.len()) {
            (_, 1) => Ok(Gold::Numbers(gold::numbers(texts)?)),
            (Some(ProblemType::Regression), count) => unsuited(format!(
                "The model gives {count} numbers per text; data with one number per text can't score it."
            )),
            (Some(ProblemType::MultiLabel), _) => unsuited(
                "The model gives a text any number of labels; data with one label per text can't score it."
                    .to_owned(),
            ),
            (Some(ProblemType::SingleLabel) | None, count) => {
                let names = self.options.labels.as_ref().unwrap_or(labels);
                if names.len() != count {
                    return unsuited(format!(
                        "{} labels are named, and the model has {count}: {}.",
                        names.len(),
                        labels.join(", ")
                    ));
                }
                let gold = gold::labels(texts, labels, names)?;
                Ok(Gold::Labels(gold, names.clone()))
            }
        }
    }

    async fn sentences(&self, sentences: &[TaggedSentence]) -> Result<Scores, EvalError> {
        let tags = || sentences.iter().flat_map(|sentence| &sentence.tags);
        let labels = self.model.info.labels.iter().map(String::as_str);
        let scheme = Scheme::of_data(tags().map(String::as_str), labels);
        self.check_tags(tags(), scheme)?;
        let width = self.model.info.labels.len();
        let predicted = self
            .answers(sentences, |sentence| {
                let (service, context) = (self.service.clone(), self.context.clone());
                let model = Arc::clone(self.model);
                let place = format!("line {}", sentence.line);
                let JoinedWords { text, words } = JoinedWords::new(&sentence.words);
                async move {
                    let texts = vec![text];
                    let decode = move |model: &LoadedModel, scored: &ScoredText| {
                        tags_of(&words, scored, &model.info.labels)
                    };
                    let scored = service.score_tokens(&model, texts, width, &context, decode);
                    let (mut tags, _) = scored.await.map_err(|error| unanswered(place, &error))?;
                    Ok(tags.pop().unwrap_or_default())
                }
            })
            .await?;
        let mut counts = ChunkCounts::new(scheme, self.model.info.scheme);
        for (sentence, predicted) in sentences.iter().zip(&predicted) {
            counts.add(&sentence.tags, predicted);
        }
        Ok(counts.scores())
    }

    async fn replaced(&self, texts: &[ReplacedText]) -> Result<Scores, EvalError> {
        let answers = self
            .answers(texts, |text| {
                let (service, context) = (self.service.clone(), self.context.clone());
                let place = format!("line {}", text.line);
                let request = DiscriminateRequest {
                    text: Inputs::one(text.text.clone()),
                    model: Some(self.name()),
                    ..DiscriminateRequest::default()
                };
                async move { only(place, service.answer(request, &context).await) }
            })
            .await?;
        let mut tokens = Vec::new();
        for (text, answer) in texts.iter().zip(answers) {
            if let Discrimination::Tokens(scored) = answer {
                tokens.extend(scored.iter().map(|token| {
                    let replaced = text.is_replaced(&(token.start..token.end));
                    (token.score, replaced)
                }));
            }
        }
        let threshold = self.options.threshold.unwrap_or_default();
        Ok(Detection { tokens }.scores(threshold.get()))
    }

    /// Refuses a model that has none of the data's chunk types: it was trained for something else.
    fn check_tags<'t>(
        &self,
        tags: impl Iterator<Item = &'t String>,
        scheme: Scheme,
    ) -> Result<(), EvalError> {
        let ModelInfo {
            labels,
            scheme: own,
            ..
        } = &self.model.info;
        let kinds: HashSet<&str> = labels.iter().map(|label| own.tag(label).kind).collect();
        let mut in_chunks = tags.filter(|tag| *tag != OUTSIDE).peekable();
        let Some(first) = in_chunks.peek().copied() else {
            let reason = "None of the data's words is in a chunk: the last column, or the one of --label-column, \
                          contains only O.";
            return Err(EvalError::Unsuited(reason.to_owned()));
        };
        if in_chunks.any(|tag| kinds.contains(scheme.tag(tag).kind)) {
            return Ok(());
        }
        Err(EvalError::Unsuited(format!(
            "None of the data's tags, such as `{}`, is a label of the model: {}. Tags are in the last column, or in the one \
             of --label-column.",
            quoted(first),
            labels.join(", ")
        )))
    }

    fn name(&self) -> String {
        self.model.info.name.clone()
    }

    /// Answers inputs concurrently. Results keep the order of the inputs.
    async fn answers<I, T, F>(
        &self,
        inputs: &[I],
        answer: impl Fn(&I) -> F,
    ) -> Result<Vec<T>, EvalError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, EvalError>> + Send + 'static,
    {
        let mut running = VecDeque::with_capacity(IN_FLIGHT);
        let mut answers = Vec::with_capacity(inputs.len());
        let mut waiting = inputs.iter();
        loop {
            while running.len() < IN_FLIGHT
                && let Some(input) = waiting.next()
            {
                running.push_back(AbortOnDropHandle::new(tokio::spawn(answer(input))));
            }
            let Some(first) = running.pop_front() else {
                return Ok(answers);
            };
            let answered = first.await;
            let answer =
                answered.map_err(|error| EvalError::Model(ServiceError::internal(error)))?;
            answers.push(answer?);
            (self.done)();
        }
    }
}

/// Gold labels in the model's terms.
enum Gold {
    /// One number per text.
    Numbers(Vec<f64>),
    /// One label per text, as an index into the model's labels. Then the data's names for the model's labels.
    Labels(Vec<usize>, Vec<String>),
}

/// The result of a request with one input.
fn only<R>(
    place: String,
    answer: Result<Answer<Results<R>>, ServiceError>,
) -> Result<R, EvalError> {
    let result = answer.and_then(|mut answer| {
        let result = answer.output.results.pop();
        result.ok_or_else(|| ServiceError::internal("an input got no result"))
    });
    result.map_err(|error| unanswered(place, &error))
}

fn unanswered(place: String, error: &ServiceError) -> EvalError {
    EvalError::Input {
        place,
        reason: error.to_string(),
    }
}

/// "No answer" wins by the same rule as in `/qa` with `no_answer`.
fn answered<'a>(question: &'a Question, found: &'a QaAnswers) -> Answered<'a> {
    let best = found.answers.first();
    Answered {
        gold: &question.answers,
        span: best.map_or("", |best| best.text.as_str()),
        no_answer_score: found.no_answer_score,
        no_answer: best.is_none_or(|best| found.no_answer_score > best.score),
    }
}

/// The tag of each word: the most likely label of its first token. A word without a token gets `O`.
fn tags_of(words: &[Range<usize>], scored: &ScoredText, labels: &[String]) -> Vec<String> {
    let tag = |token: Option<usize>| {
        let row = token.map_or(&[][..], |token| scored.row(token));
        let (best, _) = rank(row, Some(NonZeroUsize::MIN)).pop()?;
        labels.get(best).cloned()
    };
    first_tokens(words, &scored.tokens.offsets)
        .into_iter()
        .map(|token| tag(token).unwrap_or_else(|| OUTSIDE.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
