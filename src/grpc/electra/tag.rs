//! Conversion of `Tag`'s messages.

use super::message::TaskMessage;
use super::options::{named, offsets, wide};
use crate::error::ServiceError;
use crate::fields::Aggregation;
use crate::grpc::proto::electra as proto;
use crate::service::{
    Inputs, Results, Service, TagRequest, TaggedEntity, Tagging, Target, TaskOperation,
};

impl TaskMessage for proto::TagRequest {
    type Operation = TagRequest;
    type Response = proto::TagResponse;

    fn find(&self, service: &Service) -> Target {
        service.find(TagRequest::TASK, self.model.as_deref())
    }

    fn count(&self) -> usize {
        self.text.len()
    }
}

impl From<Results<Tagging>> for proto::TagResponse {
    fn from(Results { model, results }: Results<Tagging>) -> Self {
        Self {
            model,
            results: results.into_iter().map(Into::into).collect(),
        }
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
