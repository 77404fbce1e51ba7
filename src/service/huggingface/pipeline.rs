//! The interface of every pipeline: reading a request, and the steps before and after the model.

use serde_json::Value;

use super::output::PipelineOutput;
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::service::input::Inputs;

/// The options of a request to one pipeline, with the steps that run before and after the model. The request's inputs
/// go through the steps in parts, which share the options.
pub trait Pipeline: Send + Sync + Sized + 'static {
    type Input: Send + 'static;
    /// Data about a part that is kept while the model runs.
    type Prepared: Send + 'static;
    /// The answer to one input.
    type Result: Send + 'static;

    /// Reads and validates a request.
    fn read(
        inputs: Value,
        parameters: Option<Value>,
        model: &LoadedModel,
    ) -> Result<(Self, Vec<Self::Input>), ServiceError>;

    /// Size of an input's texts in bytes. All inputs together may exceed the body's size: a context that questions
    /// share counts for each.
    fn bytes(input: &Self::Input) -> usize;

    /// Encodes the sequences to run for a part.
    fn prepare(
        &self,
        inputs: Vec<Self::Input>,
        model: &LoadedModel,
    ) -> Result<(Self::Prepared, Vec<Sequence>), ServiceError>;

    /// Turns the outputs of these sequences into one result per input.
    fn decode(
        &self,
        prepared: Self::Prepared,
        model: &LoadedModel,
        outputs: &[SequenceOutput],
    ) -> Result<Vec<Self::Result>, ServiceError>;

    /// Gives the results of all inputs the shape that transformers gives them.
    fn output(&self, results: Vec<Self::Result>) -> PipelineOutput;
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
