//! The Open Inference Protocol (v2), whichever transport it comes by: models are asked by tensors.
//!
//! There are two ways to ask. Texts in BYTES tensors are answered like the task's native route, whose operation computes
//! them, with the results as tensors. Token ids in the graph's own tensors are answered with its logits.

mod decoded;
mod inputs;
mod metadata;
mod names;
mod packed;
mod parameters;
mod raw;
mod repository;
mod statistics;
mod tensor;
mod text;

pub use metadata::{
    ConfigTensor, DynamicBatching, ModelConfig, ModelMetadata, ServerMetadata, TensorMetadata,
};
pub use parameters::{
    ParameterValue, Parameters, RequestedOutput, binary_data_output, binary_data_size,
};
pub use repository::{IndexEntry, IndexState, check_load_parameters, check_unload_parameters};
pub use statistics::{ModelStatisticsReport, StatisticsReport};
pub use tensor::{Datatype, Tensor, TensorData};

use std::borrow::Cow;

use super::{RequestContext, Service, Timings};
use crate::error::ServiceError;
use inputs::Inputs;
use parameters::RequestParameters;

/// What a model is asked.
#[derive(Clone, Debug)]
pub struct InferRequest {
    /// Which model: see [`address`].
    pub model: String,
    /// The client's own name for the request, which its answer repeats.
    pub id: Option<String>,
    /// Priority, timeout and the task's own options.
    pub parameters: Parameters,
    /// The tensors, in any order.
    pub inputs: Vec<Tensor>,
    /// The outputs wanted, in this order; all where none is named.
    pub outputs: Vec<RequestedOutput>,
}

/// What it answers.
#[derive(Clone, Debug)]
pub struct InferResponse {
    /// The model's name, never an alias.
    pub model_name: String,
    /// The version that answered.
    pub model_version: String,
    /// That of the request.
    pub id: Option<String>,
    /// In the order that was asked for.
    pub outputs: Vec<Tensor>,
    /// Where the time went.
    pub timings: Timings,
}

/// The one address that the service knows a model by, of a name and a version which may be empty.
#[must_use]
pub fn address<'a>(name: &'a str, version: &str) -> Cow<'a, str> {
    if version.is_empty() {
        name.into()
    } else {
        format!("{name}@{version}").into()
    }
}

impl Service {
    /// Answers tensors by tensors.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn infer(
        &self,
        request: InferRequest,
        context: &RequestContext,
    ) -> Result<InferResponse, ServiceError> {
        let model = self.loaded(&request.model)?;
        let task = model.info.task;
        let parameters = RequestParameters::read(request.parameters, task)?;
        let context = parameters.context(context);
        names::check(task, &request.outputs)?;
        let inputs = Inputs::sort(request.inputs, task)?;
        let wanted = &request.outputs;
        let (outputs, timings) = match inputs {
            Inputs::Text(inputs) => {
                let options = parameters.options;
                text::infer(self, &model, inputs, options, wanted, &context).await?
            }
            Inputs::Raw(inputs) => {
                parameters::refuse_options(&parameters.options)?;
                raw::infer(self, &model, inputs, wanted, &context).await?
            }
            Inputs::Packed(inputs) => {
                parameters::refuse_options(&parameters.options)?;
                packed::infer(self, &model, inputs, wanted, &context).await?
            }
        };
        Ok(InferResponse {
            model_name: model.info.name.clone(),
            model_version: model.info.version.to_string(),
            id: request.id,
            outputs,
            timings,
        })
    }
}

#[cfg(test)]
#[path = "inference_tests.rs"]
mod tests;
