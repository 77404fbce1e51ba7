//! Answer's messages.

use super::TaskRequest;
use super::options::{count, offsets, wide};
use crate::error::ServiceError;
use crate::grpc::proto::electra as proto;
use crate::service::{
    AnswerSpan, Inputs, QaAnswers, QaItem, QaRequest, RequestContext, Service, Timings,
};
use crate::task::Task;

impl TaskRequest for proto::AnswerRequest {
    const TASK: Task = Task::Qa;

    type Response = proto::AnswerResponse;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    async fn answer(
        self,
        service: &Service,
        context: &RequestContext,
    ) -> Result<(Self::Response, Timings), ServiceError> {
        let answer = service.answer(self.try_into()?, context).await?;
        let response = proto::AnswerResponse {
            model: answer.model,
            results: answer.results.into_iter().map(Into::into).collect(),
        };
        Ok((response, answer.timings))
    }
}

impl TryFrom<proto::AnswerRequest> for QaRequest {
    type Error = ServiceError;

    fn try_from(message: proto::AnswerRequest) -> Result<Self, ServiceError> {
        // proto3 does not tell an empty list from an absent one.
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
