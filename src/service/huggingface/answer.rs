//! POST /models/{name}: a request to the pipeline of a model's task.

use std::sync::Arc;

use schemars::JsonSchema;
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
use crate::service::chunk::Chunk;
use crate::service::context::RequestContext;
use crate::service::cost;
use crate::service::handle::{Service, Target};
use crate::service::input::Object;
use crate::service::operation::{Answer, Operation};
use crate::service::steps::{Steps, joined};
use crate::task::Task;

/// A request to a model's pipeline.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineRequest {
    /// The pipeline's inputs: a text, a pair, a question with its context, or a list of them.
    pub inputs: Value,
    /// The pipeline's parameters by name. Null counts as absent, for one parameter or for all.
    pub parameters: Option<Value>,
    /// Options of Hugging Face's own servers, which older clients send. Accepted without effect.
    pub options: Option<Object<PipelineOptions>>,
}

/// Options without effect: answers are not cached, and if a model is loading, the error says when to try again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineOptions {
    /// Whether a cached answer may be returned.
    pub use_cache: Option<bool>,
    /// Whether to wait for a model that is loading.
    pub wait_for_model: Option<bool>,
}

/// A pipeline request and the model that it is for.
pub struct PipelineCall {
    /// The model's name or alias, with or without a version.
    pub model: String,
    pub request: PipelineRequest,
    /// Length of the body that the request was parsed from. The cost of reading it grows with this.
    pub bytes: usize,
}

impl Operation for PipelineCall {
    type Output = PipelineOutput;

    fn find(&self, service: &Service) -> Target {
        service.find_any(&self.model)
    }

    async fn run(
        self,
        service: &Service,
        model: Arc<LoadedModel>,
        context: &RequestContext,
    ) -> Result<Answer<PipelineOutput>, ServiceError> {
        match model.info.task {
            Task::Classify => pipe::<TextClassification>(self, service, &model, context).await,
            Task::Tag => pipe::<TokenClassification>(self, service, &model, context).await,
            Task::Qa => pipe::<QuestionAnswering>(self, service, &model, context).await,
            task @ Task::Discriminate => Err(ServiceError::NoPipeline {
                model: self.model,
                task,
            }),
        }
    }
}

async fn pipe<P: Pipeline>(
    PipelineCall { request, bytes, .. }: PipelineCall,
    service: &Service,
    model: &Arc<LoadedModel>,
    context: &RequestContext,
) -> Result<Answer<PipelineOutput>, ServiceError> {
    let reader = Arc::clone(model);
    let read = move || P::read(request.inputs, request.parameters, &reader);
    let executor = service.executor();
    let cost = cost::parse(bytes);
    let (pipeline, inputs) = executor
        .run(context.client(), cost, context.deadline, read)
        .await??;
    let pipeline = Arc::new(pipeline);
    let (before, after) = (Arc::clone(&pipeline), Arc::clone(&pipeline));
    let steps = Steps {
        prepare: move |model: &LoadedModel, inputs| before.prepare(inputs, model),
        decode: move |model: &LoadedModel, prepared, outputs: Vec<SequenceOutput>| {
            after.decode(prepared, model, &outputs)
        },
    };
    let chunks = Chunk::divide(inputs, P::bytes);
    let outcome = service.run_steps(model, chunks, steps, context).await?;
    let (results, timings) = joined(outcome);
    Ok(Answer {
        output: pipeline.output(results),
        timings,
    })
}
