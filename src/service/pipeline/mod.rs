//! Hugging Face's inference interface: what transformers' pipelines (4.57) answer, in their shapes; one file a pipeline.
//!
//! One thing is different: nothing is cut in silence. A text that is too long to classify is refused unless the request
//! has it cut; the tokens of a long text are tagged to its end, the first as transformers tags them.

mod endpoint;
mod parameters;
mod question_answering;
mod questions;
mod text_classification;
mod token_classification;
mod words;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use endpoint::EndpointInfo;
pub use question_answering::{PipelineAnswer, PipelineAnswers};
pub use token_classification::{EntityLabel, PipelineEntity};

use super::classify::LabelScore;
use super::input::{Inputs, Object};
use super::run::Run;
use super::{RequestContext, Service, Timings};
use crate::batch::{Sequence, SequenceOutput};
use crate::error::ServiceError;
use crate::repository::LoadedModel;
use crate::task::Task;
use crate::text::windows::Window;
use question_answering::QuestionAnswering;
use text_classification::TextClassification;
use token_classification::TokenClassification;

/// What to put through a model's pipeline, and how.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineRequest {
    /// What the pipeline takes: a text, a pair, a question with its context, or a list of such.
    pub inputs: Value,
    /// The pipeline's parameters by name. Null, for one or for all, is as if they were absent.
    pub parameters: Option<Value>,
    /// What older clients ask of Hugging Face's own servers: taken, and of no effect.
    pub options: Option<Object<PipelineOptions>>,
}

/// Of no effect here: nothing is cached, and a model that is loading answers with the time to try again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineOptions {
    /// Whether an answer may be one that was given before.
    pub use_cache: Option<bool>,
    /// Whether to wait for a model that is loading.
    pub wait_for_model: Option<bool>,
}

/// What a pipeline answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Piped {
    /// The model that computed it.
    pub model: String,
    /// In transformers' shape.
    pub output: PipelineOutput,
    /// Where the time went.
    pub timings: Timings,
}

/// The shapes of the pipelines' answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PipelineOutput {
    /// text-classification: for each input its labels, best first. A lone input too is in a list.
    Labels(Vec<Vec<LabelScore>>),
    /// text-classification with `return_all_scores`: the labels of a lone pair, or the best label of each input.
    LabelList(Vec<LabelScore>),
    /// text-classification with `return_all_scores: false`: the best label of a lone pair.
    Label(LabelScore),
    /// token-classification of one text.
    Entities(Vec<PipelineEntity>),
    /// token-classification of a list of texts.
    EntityLists(Vec<Vec<PipelineEntity>>),
    /// question-answering of one question.
    Answers(PipelineAnswers),
    /// question-answering of several.
    AnswerLists(Vec<PipelineAnswers>),
}

/// One pipeline's request, checked; the two halves of its work stand before and behind the model.
trait Pipeline: Send + Sized + 'static {
    /// What is kept while the model runs.
    type Prepared: Send + 'static;

    /// Reads a request.
    fn read(
        inputs: Value,
        parameters: Option<Value>,
        model: &LoadedModel,
    ) -> Result<Self, ServiceError>;

    /// How many bytes its texts have together.
    fn bytes(&self) -> usize;

    /// The sequences to run.
    fn prepare(self, model: &LoadedModel) -> Result<(Self::Prepared, Vec<Sequence>), ServiceError>;

    /// What the outputs of these sequences say.
    fn decode(
        prepared: Self::Prepared,
        model: &LoadedModel,
        outputs: &[SequenceOutput],
    ) -> Result<PipelineOutput, ServiceError>;
}

impl Service {
    /// Answers as transformers' pipeline for the model's task does. `name` may be a name, an alias, or either with a
    /// version.
    ///
    /// # Errors
    /// See [`ServiceError`]; [`ServiceError::NoPipeline`] for a discriminator.
    pub async fn pipeline(
        &self,
        name: &str,
        request: PipelineRequest,
        context: &RequestContext,
    ) -> Result<Piped, ServiceError> {
        let model = self.loaded(name)?;
        let PipelineRequest {
            inputs, parameters, ..
        } = request;
        match model.info.task {
            Task::Classify => {
                let pipeline = TextClassification::read(inputs, parameters, &model)?;
                self.pipe(model, pipeline, context).await
            }
            Task::Tag => {
                let pipeline = TokenClassification::read(inputs, parameters, &model)?;
                self.pipe(model, pipeline, context).await
            }
            Task::Qa => {
                let pipeline = QuestionAnswering::read(inputs, parameters, &model)?;
                self.pipe(model, pipeline, context).await
            }
            task @ Task::Discriminate => Err(ServiceError::NoPipeline {
                model: name.to_owned(),
                task,
            }),
        }
    }

    async fn pipe<P: Pipeline>(
        &self,
        model: Arc<LoadedModel>,
        pipeline: P,
        context: &RequestContext,
    ) -> Result<Piped, ServiceError> {
        let run = Run {
            bytes: pipeline.bytes(),
            prepare: move |model: &LoadedModel| pipeline.prepare(model),
            decode: |model: &LoadedModel, prepared, outputs: Vec<SequenceOutput>| {
                P::decode(prepared, model, &outputs)
            },
        };
        let (output, timings) = self.run(&model, run, context).await?;
        Ok(Piped {
            model: model.info.name.clone(),
            output,
            timings,
        })
    }
}

/// The field `inputs`: one or a list, each read by `item`, which is also given its place.
fn inputs<T>(
    value: Value,
    item: impl Fn(Value, &str) -> Result<T, ServiceError>,
) -> Result<Inputs<T>, ServiceError> {
    match value {
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            let read = items.map(|(index, value)| item(value, &format!("inputs[{index}]")));
            Ok(Inputs::many(read.collect::<Result<_, _>>()?))
        }
        one => Ok(Inputs::one(item(one, "inputs")?)),
    }
}

/// Tokens to run for one text up to which neighbouring windows may share as many as a request likes.
const FREE_TOKENS: usize = 1 << 16;
/// Beyond, a window brings at least so much of its tokens that is new: else running a long text would cost as many
/// windows as it has tokens.
const NEW_SHARE: usize = 16;

/// The fewest tokens that a further window of so many must bring.
fn fewest_new_tokens(window_tokens: usize) -> usize {
    window_tokens.div_ceil(NEW_SHARE)
}

/// Whether windows of so many tokens, special ones included, may be run.
fn is_affordable(windows: &[Window], window_tokens: usize) -> bool {
    let step = match windows {
        [first, second, ..] => second.tokens.start - first.tokens.start,
        _ => usize::MAX,
    };
    windows.len().saturating_mul(window_tokens) <= FREE_TOKENS
        || step >= fewest_new_tokens(window_tokens)
}

#[cfg(test)]
mod tests;
