//! What an operation is: what it takes, which models it asks, how it runs, and what it answers.
//!
//! HTTP, gRPC, the Open Inference Protocol, the command line and the benchmark serve operations through these traits alone.

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

/// A request that can be answered.
pub trait Operation: Send + Sized + 'static {
    /// What it answers.
    type Output: Send + 'static;

    /// Finds the model that it asks; of several, the one that the metrics name.
    fn find(&self, service: &Service) -> Target;

    /// Runs on the model that was found.
    fn run(
        self,
        service: &Service,
        model: Arc<LoadedModel>,
        context: &RequestContext,
    ) -> impl Future<Output = Result<Answer<Self::Output>, ServiceError>> + Send;
}

/// An operation that is one of the tasks: it asks one model, and answers with a result for each input.
pub trait TaskOperation:
    Operation<Output = Results<Self::Result>> + DeserializeOwned + Clone + Sync
{
    /// The task of the models that it asks.
    const TASK: Task;

    /// Its options: the fields of its request other than the inputs and the model.
    const OPTIONS: &'static [RequestOption];

    /// The result for one input.
    type Result: Serialize + Send + 'static;
}

/// A field of a request that is an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestOption {
    /// The field's name.
    pub name: &'static str,
    /// Whether its values are words; else they are numbers or truth values.
    pub is_word: bool,
}

impl RequestOption {
    /// An option whose values are words.
    #[must_use]
    pub const fn word(name: &'static str) -> Self {
        Self {
            name,
            is_word: true,
        }
    }

    /// An option whose values are numbers or truth values.
    #[must_use]
    pub const fn plain(name: &'static str) -> Self {
        Self {
            name,
            is_word: false,
        }
    }
}

/// An answer, and where the time went.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// What is answered.
    pub output: T,
    /// Where the time went.
    pub timings: Timings,
}

/// What a task answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results<R> {
    /// The name of the model that answered.
    pub model: String,
    /// One result per input, in order.
    pub results: Vec<R>,
}

/// A request together with the model that it asks.
pub struct Invocation<O> {
    operation: O,
    target: Target,
}

impl<O: Operation> Invocation<O> {
    /// A request whose model was found before the request itself was read.
    #[must_use]
    pub fn new(operation: O, target: Target) -> Self {
        Self { operation, target }
    }

    /// The name of the model, for metrics; None if there is no such model.
    #[must_use]
    pub fn model(&self) -> Option<Arc<str>> {
        self.target.name.clone()
    }

    /// Answers the request.
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

    /// Finds the model of a request and answers it.
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
    /// The answer of one model.
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

    /// The fields that serde knows of a request, as its error for an unknown one lists them.
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
