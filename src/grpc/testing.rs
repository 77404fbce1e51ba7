//! Messages to the methods without a connection, for the fuzz targets.

use prost::Message;

use super::electra::TaskMessage;
use super::oip::infer as oip;
use super::proto::electra as proto;
use super::proto::inference::ModelInferRequest;
use crate::error::ServiceError;
use crate::service::{Invocation, RequestContext, Service};
use crate::task::Task;

/// Decodes the request message of a task's method, answers it, and encodes the answer. `None` if the bytes are no
/// message.
pub async fn answer(
    service: &Service,
    task: Task,
    message: &[u8],
    context: &RequestContext,
) -> Option<Result<Vec<u8>, ServiceError>> {
    match task {
        Task::Discriminate => one::<proto::DiscriminateRequest>(service, message, context).await,
        Task::Classify => one::<proto::ClassifyRequest>(service, message, context).await,
        Task::Tag => one::<proto::TagRequest>(service, message, context).await,
        Task::Qa => one::<proto::AnswerRequest>(service, message, context).await,
    }
}

async fn one<M>(
    service: &Service,
    message: &[u8],
    context: &RequestContext,
) -> Option<Result<Vec<u8>, ServiceError>>
where
    M: TaskMessage + Default,
    M::Response: Message,
{
    let message = M::decode(message).ok()?;
    let _ = message.memory();
    let target = message.find(service);
    let answer = async {
        let operation = M::Operation::try_from(message)?;
        let answer = Invocation::new(operation, target)
            .run(service, context)
            .await?;
        Ok(M::Response::from(answer.output).encode_to_vec())
    };
    Some(answer.await)
}

/// As [`answer`], for `ModelInfer` of the Open Inference Protocol.
pub async fn infer(
    service: &Service,
    message: &[u8],
    context: &RequestContext,
) -> Option<Result<Vec<u8>, ServiceError>> {
    let message = ModelInferRequest::decode(message).ok()?;
    let _ = oip::memory(&message);
    let answer = async {
        let request = oip::read(message)?;
        let answer = service.answer(request, context).await?;
        Ok(oip::write(answer.output).encode_to_vec())
    };
    Some(answer.await)
}
