//! What every pipeline is: a reader of requests, and what stands before and behind the model.

use serde_json::Value;

use super::output::PipelineOutput;
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::service::input::Inputs;

/// One pipeline's request, checked; the two halves of its work stand before and behind the model.
pub trait Pipeline: Send + Sized + 'static {
    /// What is kept while the model runs.
    type Prepared: Send + 'static;

    /// Reads a request.
    fn read(
        inputs: Value,
        parameters: Option<Value>,
        model: &LoadedModel,
    ) -> Result<Self, ServiceError>;

    /// How many bytes its texts have together: more than the body, where questions share a context.
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

/// The field `inputs`: one or a list, each read by `item`, which is also given its place.
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
