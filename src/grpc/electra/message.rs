//! What the request messages of all tasks have in common.

use crate::error::ServiceError;
use crate::grpc::call::Call;
use crate::service::{Answer, Invocation, RequestContext, Results, Service, TaskOperation};

/// A request message of a task. It converts to the task's operation, and the operation's results to the response message.
pub trait TaskMessage: Send + Sized + 'static {
    /// The operation.
    type Operation: TaskOperation + TryFrom<Self, Error = ServiceError>;

    /// The response message.
    type Response: From<Results<<Self::Operation as TaskOperation>::Result>> + Send + 'static;

    /// The model that the request names.
    fn model(&self) -> Option<&str>;
}

/// Answers one message, and notes its model for the call's metrics.
///
/// # Errors
/// Those of the conversion and of the operation.
pub fn answer<M: TaskMessage>(
    service: &Service,
    call: &Call,
    message: M,
    context: &RequestContext,
) -> impl Future<Output = Result<Answer<M::Response>, ServiceError>> + Send + use<M> {
    let target = service.find(M::Operation::TASK, message.model());
    call.note_model(target.name.clone());
    let (service, context) = (service.clone(), *context);
    async move {
        let operation = M::Operation::try_from(message)?;
        let Answer { output, timings } = Invocation::new(operation, target)
            .run(&service, &context)
            .await?;
        let output = output.into();
        Ok(Answer { output, timings })
    }
}
