//! Conversion of `Discriminate`'s messages.

use super::message::TaskMessage;
use super::options::{named, offsets, threshold, wide};
use crate::error::ServiceError;
use crate::fields::Level;
use crate::grpc::proto::electra as proto;
use crate::service::{
    DiscriminateRequest, Discrimination, Inputs, Results, ScoredToken, ScoredWord, Service, Target,
    TaskOperation,
};

impl TaskMessage for proto::DiscriminateRequest {
    type Operation = DiscriminateRequest;
    type Response = proto::DiscriminateResponse;

    fn find(&self, service: &Service) -> Target {
        service.find(DiscriminateRequest::TASK, self.model.as_deref())
    }

    fn count(&self) -> usize {
        self.text.len()
    }
}

impl From<Results<Discrimination>> for proto::DiscriminateResponse {
    fn from(Results { model, results }: Results<Discrimination>) -> Self {
        Self {
            model,
            results: results.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::DiscriminateRequest> for DiscriminateRequest {
    type Error = ServiceError;

    fn try_from(message: proto::DiscriminateRequest) -> Result<Self, ServiceError> {
        let level = match named("level", message.level)? {
            proto::Level::Unspecified => None,
            proto::Level::Token => Some(Level::Token),
            proto::Level::Word => Some(Level::Word),
        };
        Ok(Self {
            text: Inputs::many(message.text),
            model: message.model,
            threshold: threshold("threshold", message.threshold)?,
            level,
            offsets: offsets(message.offsets)?,
        })
    }
}

impl From<Discrimination> for proto::Discrimination {
    fn from(found: Discrimination) -> Self {
        let mut message = Self::default();
        match found {
            Discrimination::Tokens(tokens) => {
                message.tokens = tokens.into_iter().map(Into::into).collect();
            }
            Discrimination::Words(words) => {
                message.words = words.into_iter().map(Into::into).collect();
            }
        }
        message
    }
}

impl From<ScoredToken> for proto::ScoredToken {
    fn from(scored: ScoredToken) -> Self {
        Self {
            token: scored.token,
            start: wide(scored.start),
            end: wide(scored.end),
            score: scored.score,
            fake: scored.fake,
        }
    }
}

impl From<ScoredWord> for proto::ScoredWord {
    fn from(scored: ScoredWord) -> Self {
        Self {
            word: scored.word,
            start: wide(scored.start),
            end: wide(scored.end),
            score: scored.score,
            fake: scored.fake,
        }
    }
}
