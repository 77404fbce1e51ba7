//! Inference requests: chooses between text, token ids and packed token ids, and builds the answer.

use std::sync::Arc;

use super::inputs::InferInputs;
use super::parameters::{self, Parameters, RequestParameters, RequestedOutput};
use super::tensor::Tensor;
use super::{names, packed, raw, text};
use crate::error::ServiceError;
use crate::registry::LoadedModel;
use crate::service::context::RequestContext;
use crate::service::handle::{Service, Target};
use crate::service::operation::{Answer, Operation};

/// An inference request.
#[derive(Clone, Debug)]
pub struct InferRequest {
    /// The model and version, joined by [`address`](super::address).
    pub model: String,
    /// The client's id for the request, which the answer repeats.
    pub id: Option<String>,
    /// Priority, timeout and the task's own options.
    pub parameters: Parameters,
    /// The tensors, in any order.
    pub inputs: Vec<Tensor>,
    /// Requested outputs, in the order of the answer. If empty, all outputs are returned.
    pub outputs: Vec<RequestedOutput>,
}

/// The answer to an inference request.
#[derive(Clone, Debug)]
pub struct InferResponse {
    /// The model's name, never an alias.
    pub model_name: String,
    /// The version that answered.
    pub model_version: String,
    /// The request's id.
    pub id: Option<String>,
    /// In the requested order.
    pub outputs: Vec<Tensor>,
}

impl InferResponse {
    /// Bytes of all outputs. The cost of writing them grows with it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.outputs.iter().map(|output| output.data().size()).sum()
    }

    /// Bytes of all outputs in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        let outputs = self.outputs.iter();
        outputs.map(|output| output.data().memory()).sum()
    }
}

impl Operation for InferRequest {
    type Output = InferResponse;

    fn find(&self, service: &Service) -> Target {
        service.find_any(&self.model)
    }

    async fn run(
        self,
        service: &Service,
        model: Arc<LoadedModel>,
        context: &RequestContext,
    ) -> Result<Answer<InferResponse>, ServiceError> {
        let task = model.info.task;
        let parameters = RequestParameters::read(self.parameters, task)?;
        let context = parameters.context(context);
        names::check(task, &self.outputs)?;
        let inputs = InferInputs::sort(self.inputs, task)?;
        let wanted = &self.outputs;
        let (outputs, timings) = match inputs {
            InferInputs::Text(inputs) => {
                let options = parameters.options;
                text::infer(service, &model, inputs, options, wanted, &context).await?
            }
            InferInputs::Raw(inputs) => {
                parameters::refuse_options(&parameters.options)?;
                raw::infer(service, &model, inputs, wanted, &context).await?
            }
            InferInputs::Packed(inputs) => {
                parameters::refuse_options(&parameters.options)?;
                packed::infer(service, &model, inputs, wanted, &context).await?
            }
        };
        let output = InferResponse {
            model_name: model.info.name.clone(),
            model_version: model.info.version.to_string(),
            id: self.id,
            outputs,
        };
        Ok(Answer { output, timings })
    }
}

#[cfg(test)]
mod tests;
