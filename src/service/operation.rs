//! The interface of operations: the request, the model that it needs, how it runs, and its answer.
//!
//! HTTP, gRPC, the Open Inference Protocol, the command line and the benchmark run operations only through these
//! traits.

use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::RequestContext;
use super::handle::{Service, Target};
use super::timings::Timings;
use crate::error::ServiceError;
use crate::registry::LoadedModel;
use crate::task::Task;

/// A request that the service can answer.
pub trait Operation: Send + Sized + 'static {
    /// The answer.
    type Output: Send + 'static;

    /// Finds the model that the request is for. If an operation uses several, finds the one that metrics name.
    fn find(&self, service: &Service) -> Target;

    /// Runs the operation on the model found.
    fn run(
        self,
        service: &Service,
        model: Arc<LoadedModel>,
        context: &RequestContext,
    ) -> impl Future<Output = Result<Answer<Self::Output>, ServiceError>> + Send;
}

/// An operation that belongs to a task: it uses one model, and answers one result per input.
pub trait TaskOperation:
    Operation<Output = Results<Self::Result>> + DeserializeOwned + Clone + Sync
{
    const TASK: Task;

    /// Fields of the request other than the inputs and the model.
    const OPTIONS: &'static [RequestOption];

    /// The result for one input.
    type Result: Serialize + Send + 'static;
}

/// An optional field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestOption {
    pub name: &'static str,
    /// Whether its values are strings. If not, they are numbers or booleans.
    pub is_string: bool,
}

impl RequestOption {
    /// An option whose values are strings.
    #[must_use]
    pub const fn string(name: &'static str) -> Self {
        Self {
            name,
            is_string: true,
        }
    }

    /// An option whose values are numbers or booleans.
    #[must_use]
    pub const fn scalar(name: &'static str) -> Self {
        Self {
            name,
            is_string: false,
        }
    }
}

/// An answer and its timings.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    pub output: T,
    pub timings: Timings,
}

/// The results of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results<R> {
    /// The name of the model that answered.
    pub model: String,
    /// One result per input, in order.
    pub results: Vec<R>,
}

/// A request and the model that it is for.
pub struct Invocation<O> {
    operation: O,
    target: Target,
}

impl<O: Operation> Invocation<O> {
    /// An invocation whose model was found before the request was read.
    #[must_use]
    pub fn new(operation: O, target: Target) -> Self {
        Self { operation, target }
    }

    /// The model's name for metrics. `None` if there is no such model.
    #[must_use]
    pub fn model(&self) -> Option<Arc<str>> {
        self.target.name.clone()
    }

    /// Runs the operation.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn run(
        self,
        service: &Service,
        context: &RequestContext,
    ) -> Result<Answer<O::Output>, ServiceError> {
        let model = self.target.model?;
        self.operation.run(service, model, context).await
    }
}

impl Service {
    /// Finds the model of a request, once.
    pub fn invoke<O: Operation>(&self, operation: O) -> Invocation<O> {
        Invocation {
            target: operation.find(self),
            operation,
        }
    }

    /// Finds the model of a request and runs the operation.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn answer<O: Operation>(
        &self,
        operation: O,
        context: &RequestContext,
    ) -> Result<Answer<O::Output>, ServiceError> {
        self.invoke(operation).run(self, context).await
    }
}

impl<R> Answer<Results<R>> {
    pub(super) fn of_model(model: &LoadedModel, (results, timings): (Vec<R>, Timings)) -> Self {
        let output = Results {
            model: model.info.name.clone(),
            results,
        };
        Self { output, timings }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::service::{ClassifyRequest, DiscriminateRequest, QaRequest, TagRequest};

    /// A request's fields, read from serde's error for an unknown field, which lists them.
    fn fields<O: TaskOperation>() -> BTreeSet<String> {
        let Err(error) = serde_json::from_str::<O>(r#"{"?": 0}"#) else {
            panic!("an unknown field was accepted");
        };
        let names = error.to_string();
        let names = names.split('`').skip(3).step_by(2);
        names.map(str::to_owned).collect()
    }

    fn check<O: TaskOperation>(inputs: &[&str]) {
        let options = O::OPTIONS.iter().map(|option| option.name);
        let listed = options.chain(inputs.iter().copied()).chain(["model"]);
        let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
        assert_eq!(fields::<O>(), listed, "{}", O::TASK);
    }

    #[test]
    fn options_are_the_fields_beside_inputs_and_model() {
        check::<DiscriminateRequest>(&["text"]);
        check::<ClassifyRequest>(&["text"]);
        check::<TagRequest>(&["text"]);
        check::<QaRequest>(&["question", "context", "items"]);
    }
}
