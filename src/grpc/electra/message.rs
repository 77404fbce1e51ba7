//! The interface shared by the request messages of all tasks.

use prost::Message;

use crate::error::ServiceError;
use crate::grpc::call::Call;
use crate::service::{Answer, Invocation, Operation, RequestContext, Service, Target};

/// A task's request message. It converts to the task's operation, and the operation's results convert to the response
/// message.
pub trait TaskMessage: Message + Sized + 'static {
    type Operation: Operation + TryFrom<Self, Error = ServiceError>;
    type Response: From<<Self::Operation as Operation>::Output> + Send + 'static;

    /// Finds the model that the message asks, before the message is converted: the metrics name it, also if the
    /// conversion fails.
    fn find(&self, service: &Service) -> Target;

    /// The number of texts, pairs and items.
    fn count(&self) -> usize;

    /// How much memory the message and the operation made of it take, at most.
    fn memory(&self) -> usize {
        self.encoded_len() + self.count() * INPUT_MEMORY
    }
}

/// Memory of an input beside its text, at most: a pair of strings in a list that may have twice the room it needs.
const INPUT_MEMORY: usize = 112;

/// Answers one message, and records its model for the call's metrics.
///
/// # Errors
/// If the message does not convert to an operation, or the operation fails.
pub fn answer_message<M: TaskMessage>(
    service: &Service,
    call: &Call,
    message: M,
    context: &RequestContext,
) -> impl Future<Output = Result<Answer<M::Response>, ServiceError>> + Send + use<M> {
    let target = message.find(service);
    call.note_model(target.name.clone());
    let (service, context) = (service.clone(), context.clone());
    async move {
        let operation = M::Operation::try_from(message)?;
        let Answer { output, timings } = Invocation::new(operation, target)
            .run(&service, &context)
            .await?;
        let output = output.into();
        Ok(Answer { output, timings })
    }
}
