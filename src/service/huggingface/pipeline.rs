//! The interface of every pipeline: reading a request, and the steps before and after the model.

use serde_json::Value;

use super::output::PipelineOutput;
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::service::input::Inputs;

/// A validated request to one pipeline, with the steps that run before and after the model.
pub trait Pipeline: Send + Sized + 'static {
    /// Data kept while the model runs.
    type Prepared: Send + 'static;

    /// Reads and validates a request.
    fn read(
        inputs: Value,
        parameters: Option<Value>,
        model: &LoadedModel,
    ) -> Result<Self, ServiceError>;

    /// Total size of the texts in bytes. Above the body's size if questions share a context, which is counted for each.
    fn bytes(&self) -> usize;

    /// Encodes the sequences to run.
    fn prepare(self, model: &LoadedModel) -> Result<(Self::Prepared, Vec<Sequence>), ServiceError>;

    /// Turns the outputs of these sequences into the answer.
    fn decode(
        prepared: Self::Prepared,
        model: &LoadedModel,
        outputs: &[SequenceOutput],
    ) -> Result<PipelineOutput, ServiceError>;
}

/// Reads the field `inputs`: one input or a list. `item` reads one input, given its path in the request.
pub fn inputs<T>(
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
