//! Conversion of `Classify`'s messages.

use super::message::TaskMessage;
use super::options::{count, invalid, named};
use crate::error::ServiceError;
use crate::fields::ScoreFunction;
use crate::grpc::proto::electra as proto;
use crate::service::{
    Classification, ClassifyInput, ClassifyRequest, Inputs, LabelScore, Results, Service, Target,
    TaskOperation,
};

impl TaskMessage for proto::ClassifyRequest {
    type Operation = ClassifyRequest;
    type Response = proto::ClassifyResponse;

    fn find(&self, service: &Service) -> Target {
        service.find(ClassifyRequest::TASK, self.model.as_deref())
    }

    fn count(&self) -> usize {
        self.text.len() + self.text_pair.len()
    }
}

impl From<Results<Classification>> for proto::ClassifyResponse {
    fn from(Results { model, results }: Results<Classification>) -> Self {
        Self {
            model,
            results: results.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::ClassifyRequest> for ClassifyRequest {
    type Error = ServiceError;

    fn try_from(message: proto::ClassifyRequest) -> Result<Self, ServiceError> {
        let function = match named("function", message.function)? {
            proto::ScoreFunction::Unspecified => None,
            proto::ScoreFunction::Softmax => Some(ScoreFunction::Softmax),
            proto::ScoreFunction::Sigmoid => Some(ScoreFunction::Sigmoid),
            proto::ScoreFunction::None => Some(ScoreFunction::None),
        };
        Ok(Self {
            text: inputs(message.text, message.text_pair)?,
            model: message.model,
            top_k: count("top_k", message.top_k)?,
            function,
            truncate: message.truncate,
        })
    }
}

/// Texts; pairs of texts if there are second ones.
fn inputs(texts: Vec<String>, seconds: Vec<String>) -> Result<Inputs<ClassifyInput>, ServiceError> {
    if seconds.is_empty() {
        let texts = texts.into_iter().map(ClassifyInput::Text);
        return Ok(Inputs::many(texts.collect()));
    }
    if seconds.len() != texts.len() {
        return Err(invalid(
            "text_pair",
            format!(
                "it holds {} texts and `text` holds {}; send one for each of `text`, or none",
                seconds.len(),
                texts.len()
            ),
        ));
    }
    let pairs = texts.into_iter().zip(seconds);
    let pairs = pairs.map(|(first, second)| ClassifyInput::Pair(first, second));
    Ok(Inputs::many(pairs.collect()).by_part())
}

impl From<Classification> for proto::Classification {
    fn from(found: Classification) -> Self {
        Self {
            labels: found.labels.into_iter().map(Into::into).collect(),
            truncated: found.truncated,
        }
    }
}

impl From<LabelScore> for proto::LabelScore {
    fn from(found: LabelScore) -> Self {
        Self {
            label: found.label,
            score: found.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_paired_or_refused() {
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let paired = inputs(texts(&["a", "b"]), texts(&["c", "d"])).unwrap();
        assert_eq!(
            paired.items()[1],
            ClassifyInput::Pair("b".to_owned(), "d".to_owned())
        );
        let single = inputs(texts(&["a"]), Vec::new()).unwrap();
        assert_eq!(single.items(), [ClassifyInput::Text("a".to_owned())]);
        for (first, second) in [(&["a", "b"][..], &["c"][..]), (&[], &["c"])] {
            let error = inputs(texts(first), texts(second)).unwrap_err();
            assert_eq!(error.code(), "invalid_value", "{error}");
        }
    }
}
