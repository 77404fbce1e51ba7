//! POST /models/{name}: a request to the pipeline of a model's task.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::output::PipelineOutput;
use super::pipeline::Pipeline;
use super::question_answering::QuestionAnswering;
use super::text_classification::TextClassification;
use super::token_classification::TokenClassification;
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::registry::LoadedModel;
use crate::service::context::RequestContext;
use crate::service::input::Object;
use crate::service::run::Run;
use crate::service::service::Service;
use crate::service::timings::Timings;
use crate::task::Task;

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
