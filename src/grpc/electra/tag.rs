//! Tag's messages.

use super::TaskRequest;
use super::options::{named, offsets, wide};
use crate::error::ServiceError;
use crate::fields::Aggregation;
use crate::grpc::proto::electra as proto;
use crate::service::{Inputs, RequestContext, Service, TagRequest, TaggedEntity, Tagging, Timings};
use crate::task::Task;

impl TaskRequest for proto::TagRequest {
    const TASK: Task = Task::Tag;

    type Response = proto::TagResponse;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    async fn answer(
        self,
        service: &Service,
        context: &RequestContext,
    ) -> Result<(Self::Response, Timings), ServiceError> {
        let answer = service.tag(self.try_into()?, context).await?;
        let response = proto::TagResponse {
            model: answer.model,
            results: answer.results.into_iter().map(Into::into).collect(),
        };
        Ok((response, answer.timings))
    }
}

impl TryFrom<proto::TagRequest> for TagRequest {
    type Error = ServiceError;

    fn try_from(message: proto::TagRequest) -> Result<Self, ServiceError> {
        let aggregation = match named("aggregation", message.aggregation)? {
            proto::Aggregation::Unspecified => None,
            proto::Aggregation::None => Some(Aggregation::None),
            proto::Aggregation::Simple => Some(Aggregation::Simple),
            proto::Aggregation::First => Some(Aggregation::First),
            proto::Aggregation::Average => Some(Aggregation::Average),
            proto::Aggregation::Max => Some(Aggregation::Max),
        };
        Ok(Self {
            text: Inputs::many(message.text),
            model: message.model,
            aggregation,
            offsets: offsets(message.offsets)?,
        })
    }
}

impl From<Tagging> for proto::Tagging {
    fn from(found: Tagging) -> Self {
        Self {
            entities: found.entities.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<TaggedEntity> for proto::TaggedEntity {
    fn from(found: TaggedEntity) -> Self {
        Self {
            label: found.label,
            score: found.score,
            start: wide(found.start),
            end: wide(found.end),
            text: found.text,
        }
    }
}
