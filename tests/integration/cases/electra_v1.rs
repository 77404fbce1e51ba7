//! Unary calls of electra.v1.Electra, with tonic's client.

use electra_server::grpc::proto::electra as proto;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use electra_server::task::Task;
use serde_json::{Value, json};
use tonic::{Response, Status};

use super::Outcome;
use super::table::Case;
use crate::harness::Server;

pub async fn send(server: &Server, cases: &[Case]) -> Vec<Outcome> {
    let mut client = ElectraClient::new(server.grpc_channel().await);
    let mut outcomes = Vec::new();
    for case in cases {
        let body = &Body(&case.body);
        outcomes.push(match case.task {
            Task::Discriminate => {
                let by_word = case.body["level"] == "word";
                let answer = client.discriminate(discriminate(body)).await;
                outcome(answer, |answer| {
                    let result = |found: &_| discrimination(found, by_word);
                    (answer.model, answer.results.iter().map(result).collect())
                })
            }
            Task::Classify => outcome(client.classify(classify(body)).await, |answer| {
                (
                    answer.model,
                    answer.results.iter().map(classification).collect(),
                )
            }),
            Task::Tag => outcome(client.tag(tag(body)).await, |answer| {
                (answer.model, answer.results.iter().map(tagging).collect())
            }),
            Task::Qa => outcome(client.answer(answer(body)).await, |answer| {
                (answer.model, answer.results.iter().map(answers).collect())
            }),
        });
    }
    outcomes
}

/// The answer in the form of HTTP's.
fn outcome<T>(
    answer: Result<Response<T>, Status>,
    parts: impl FnOnce(T) -> (String, Vec<Value>),
) -> Outcome {
    match answer {
        Ok(answer) => {
            let (model, results) = parts(answer.into_inner());
            Ok(json!({"model": model, "results": results}))
        }
        Err(status) => Err(code(&status)),
    }
}

/// The error's code, from the trailing metadata.
pub fn code(status: &Status) -> String {
    let code = status.metadata().get("error-code").expect("a code");
    code.to_str().expect("text").to_owned()
}

fn discriminate(body: &Body) -> proto::DiscriminateRequest {
    proto::DiscriminateRequest {
        text: body.texts(),
        model: body.text("model"),
        threshold: body.number("threshold"),
        level: body.named("level", proto::Level::from_str_name),
        offsets: body.named("offsets", proto::Offsets::from_str_name),
    }
}

fn discrimination(found: &proto::Discrimination, by_word: bool) -> Value {
    let tokens = found.tokens.iter().map(|token| {
        json!({"token": token.token, "start": token.start, "end": token.end, "score": token.score, "fake": token.fake})
    });
    let words = found.words.iter().map(|word| {
        json!({"word": word.word, "start": word.start, "end": word.end, "score": word.score, "fake": word.fake})
    });
    if by_word {
        assert_eq!(found.tokens, []);
        json!({"words": words.collect::<Vec<_>>()})
    } else {
        assert_eq!(found.words, []);
        json!({"tokens": tokens.collect::<Vec<_>>()})
    }
}

fn classify(body: &Body) -> proto::ClassifyRequest {
    let (text, text_pair) = body.pairs();
    proto::ClassifyRequest {
        text,
        text_pair,
        model: body.text("model"),
        top_k: body.count("top_k"),
        function: body.named("function", |name| {
            proto::ScoreFunction::from_str_name(&format!("SCORE_{name}"))
        }),
        truncate: body.truth("truncate"),
    }
}

fn classification(found: &proto::Classification) -> Value {
    let labels = found.labels.iter();
    let labels = labels.map(|label| json!({"label": label.label, "score": label.score}));
    let mut result = json!({"labels": labels.collect::<Vec<_>>()});
    if found.truncated {
        result["truncated"] = true.into();
    }
    result
}

fn tag(body: &Body) -> proto::TagRequest {
    proto::TagRequest {
        text: body.texts(),
        model: body.text("model"),
        aggregation: body.named("aggregation", proto::Aggregation::from_str_name),
        offsets: body.named("offsets", proto::Offsets::from_str_name),
    }
}

fn tagging(found: &proto::Tagging) -> Value {
    let entities = found.entities.iter().map(|entity| {
        json!({
            "label": entity.label, "score": entity.score, "start": entity.start, "end": entity.end,
            "text": entity.text,
        })
    });
    json!({"entities": entities.collect::<Vec<_>>()})
}

fn answer(body: &Body) -> proto::AnswerRequest {
    let items = body.0["items"].as_array().into_iter().flatten();
    let text = |item: &Value, field: &str| item[field].as_str().expect("a string").to_owned();
    proto::AnswerRequest {
        question: body.text("question"),
        context: body.text("context"),
        items: items
            .map(|item| proto::QuestionAndContext {
                question: text(item, "question"),
                context: text(item, "context"),
            })
            .collect(),
        model: body.text("model"),
        top_k: body.count("top_k"),
        no_answer: body.truth("no_answer"),
        max_answer_tokens: body.count("max_answer_tokens"),
        stride: body.count("stride"),
        offsets: body.named("offsets", proto::Offsets::from_str_name),
    }
}

fn answers(found: &proto::QuestionAnswers) -> Value {
    let answers = found.answers.iter().map(|answer| {
        json!({"text": answer.text, "score": answer.score, "start": answer.start, "end": answer.end})
    });
    json!({"answers": answers.collect::<Vec<_>>(), "no_answer_score": found.no_answer_score})
}

/// A request's HTTP body, to be converted to messages.
struct Body<'a>(&'a Value);

impl Body<'_> {
    fn text(&self, field: &str) -> Option<String> {
        self.0[field].as_str().map(str::to_owned)
    }

    /// One text or a list of them.
    fn texts(&self) -> Vec<String> {
        self.pairs().0
    }

    /// One pair or a list of them: the texts, and their second texts.
    fn pairs(&self) -> (Vec<String>, Vec<String>) {
        let mut texts = (Vec::new(), Vec::new());
        let string = |value: &Value| value.as_str().expect("a string").to_owned();
        match &self.0["text"] {
            Value::Array(inputs) => {
                for input in inputs {
                    if input.is_array() {
                        texts.0.push(string(&input[0]));
                        texts.1.push(string(&input[1]));
                    } else {
                        texts.0.push(string(input));
                    }
                }
            }
            text => texts.0.push(string(text)),
        }
        texts
    }

    #[expect(clippy::cast_possible_truncation, reason = "the message has an fp32")]
    fn number(&self, field: &str) -> Option<f32> {
        self.0[field].as_f64().map(|number| number as f32)
    }

    fn count(&self, field: &str) -> Option<u32> {
        let number = self.0[field].as_u64()?;
        Some(u32::try_from(number).expect("a count"))
    }

    fn truth(&self, field: &str) -> Option<bool> {
        self.0[field].as_bool()
    }

    /// The number of an enum's value: `level` `word` is `LEVEL_WORD`. An unknown name gets an unknown number.
    fn named<E: Into<i32>>(&self, field: &str, of_name: impl Fn(&str) -> Option<E>) -> i32 {
        match self.0[field].as_str() {
            Some(name) => of_name(&format!("{field}_{name}").to_uppercase()).map_or(99, Into::into),
            None => 0,
        }
    }
}
