//! Conversion of `Answer`'s messages.

use super::message::TaskMessage;
use super::options::{count, offsets, wide};
use crate::error::ServiceError;
use crate::grpc::proto::electra as proto;
use crate::service::{
    AnswerSpan, Inputs, QaAnswers, QaItem, QaRequest, Results, Service, Target, TaskOperation,
};

impl TaskMessage for proto::AnswerRequest {
    type Operation = QaRequest;
    type Response = proto::AnswerResponse;

    fn find(&self, service: &Service) -> Target {
        service.find(QaRequest::TASK, self.model.as_deref())
    }

    fn count(&self) -> usize {
        self.items.len()
    }
}

impl From<Results<QaAnswers>> for proto::AnswerResponse {
    fn from(Results { model, results }: Results<QaAnswers>) -> Self {
        Self {
            model,
            results: results.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::AnswerRequest> for QaRequest {
    type Error = ServiceError;

    fn try_from(message: proto::AnswerRequest) -> Result<Self, ServiceError> {
        // proto3 cannot tell an empty list from an absent one.
        let items = Some(message.items).filter(|items| !items.is_empty());
        let item = |item: proto::QuestionAndContext| QaItem {
            question: item.question,
            context: item.context,
        };
        Ok(Self {
            question: message.question,
            context: message.context,
            items: items.map(|items| Inputs::many(items.into_iter().map(item).collect())),
            model: message.model,
            top_k: count("top_k", message.top_k)?,
            no_answer: message.no_answer,
            max_answer_tokens: count("max_answer_tokens", message.max_answer_tokens)?,
            stride: count("stride", message.stride)?,
            offsets: offsets(message.offsets)?,
        })
    }
}

impl From<QaAnswers> for proto::QuestionAnswers {
    fn from(found: QaAnswers) -> Self {
        Self {
            answers: found.answers.into_iter().map(Into::into).collect(),
            no_answer_score: found.no_answer_score,
        }
    }
}

impl From<AnswerSpan> for proto::AnswerSpan {
    fn from(found: AnswerSpan) -> Self {
        Self {
            text: found.text,
            score: found.score,
            start: wide(found.start),
            end: wide(found.end),
        }
    }
}
