//! gRPC against the real server: its answers equal HTTP's, streams keep their order, and health follows the models.

use electra_server::grpc::proto::electra as proto;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use serde_json::{Value, json};
use tokio_stream::{StreamExt, iter};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{
    Server, ServerProcess, assert_close, config, default_models, default_server, eventually,
    repository,
};

async fn connect(address: std::net::SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}

pub async fn channel(server: &Server) -> Channel {
    connect(server.grpc.expect("gRPC is on")).await
}

/// Texts that take one token, many, several windows and none, with characters of every UTF-8 width.
fn texts() -> Vec<String> {
    let long = "The old man bought a new car in London. ".repeat(60);
    [
        "A warm 😀 funny film.",
        "",
        " \t",
        "Zoë réside à Paris",
        &long,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Compares scores as fp32, since the transports print them with different numbers of digits.
#[track_caller]
fn expect_score(found: f32, wanted: &Value) {
    assert_close(f64::from(found), number(wanted), 1e-6, "a score");
}

#[tokio::test(flavor = "multi_thread")]
async fn discriminate_answers_as_over_http() {
    let server = default_server();
    let mut client = ElectraClient::new(channel(&server).await);
    for (name, offsets) in [
        ("codepoint", proto::Offsets::Codepoint),
        ("utf8", proto::Offsets::Utf8),
        ("utf16", proto::Offsets::Utf16),
    ] {
        for (level, number) in [("token", proto::Level::Token), ("word", proto::Level::Word)] {
            let body = json!({"text": texts(), "offsets": name, "level": level, "threshold": 0.25});
            let http = server.ask("/discriminate", &body).await;
            let request = proto::DiscriminateRequest {
                text: texts(),
                threshold: Some(0.25),
                level: number.into(),
                offsets: offsets.into(),
                ..Default::default()
            };
            let answer = client
                .discriminate(request)
                .await
                .expect("an answer")
                .into_inner();
            assert_eq!(answer.model, http["model"]);
            assert_eq!(answer.results.len(), texts().len());
            for (result, wanted) in answer
                .results
                .iter()
                .zip(http["results"].as_array().expect("a list"))
            {
                let field = format!("{level}s");
                let wanted = wanted[&field].as_array().expect("a list");
                let found: Vec<_> = match level {
                    "token" => (result.tokens.iter())
                        .map(|found| {
                            (
                                &found.token,
                                found.start,
                                found.end,
                                found.score,
                                found.fake,
                            )
                        })
                        .collect(),
                    _ => (result.words.iter())
                        .map(|found| (&found.word, found.start, found.end, found.score, found.fake))
                        .collect(),
                };
                assert_eq!(found.len(), wanted.len());
                for ((text, start, end, score, fake), wanted) in found.into_iter().zip(wanted) {
                    expect_score(score, &wanted["score"]);
                    let found = json!({level: text, "start": start, "end": end, "fake": fake, "score": wanted["score"]});
                    assert_eq!(found, *wanted);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn classify_answers_as_over_http() {
    let server = default_server();
    let mut client = ElectraClient::new(channel(&server).await);
    let texts = vec!["A warm, funny film.".to_owned(), "long ".repeat(2000)];
    for (name, function) in [
        ("softmax", proto::ScoreFunction::Softmax),
        ("sigmoid", proto::ScoreFunction::Sigmoid),
        ("none", proto::ScoreFunction::None),
    ] {
        let body = json!({"text": texts, "truncate": true, "function": name});
        let http = server.ask("/classify", &body).await;
        let request = proto::ClassifyRequest {
            text: texts.clone(),
            function: function.into(),
            truncate: Some(true),
            ..Default::default()
        };
        let answer = client
            .classify(request)
            .await
            .expect("an answer")
            .into_inner();
        for (result, wanted) in answer
            .results
            .iter()
            .zip(http["results"].as_array().expect("a list"))
        {
            assert_eq!(result.truncated, wanted["truncated"] == true);
            assert_eq!(
                result.labels.len(),
                wanted["labels"].as_array().expect("a list").len()
            );
            for (label, wanted) in result
                .labels
                .iter()
                .zip(wanted["labels"].as_array().expect("a list"))
            {
                assert_eq!(label.label, wanted["label"]);
                expect_score(label.score, &wanted["score"]);
            }
        }
        assert!(answer.results[1].truncated);
    }
    let untruncated = proto::ClassifyRequest {
        text: texts,
        ..Default::default()
    };
    let status = client.classify(untruncated).await.expect_err("a refusal");
    assert_eq!(code(&status), (Code::InvalidArgument, "too_many_tokens"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tag_answers_as_over_http() {
    let server = default_server();
    let mut client = ElectraClient::new(channel(&server).await);
    for (name, aggregation) in [
        ("none", proto::Aggregation::None),
        ("simple", proto::Aggregation::Simple),
        ("first", proto::Aggregation::First),
        ("average", proto::Aggregation::Average),
        ("max", proto::Aggregation::Max),
    ] {
        let http = server
            .ask("/tag", &json!({"text": texts(), "aggregation": name}))
            .await;
        let request = proto::TagRequest {
            text: texts(),
            aggregation: aggregation.into(),
            ..Default::default()
        };
        let answer = client.tag(request).await.expect("an answer").into_inner();
        for (result, wanted) in answer
            .results
            .iter()
            .zip(http["results"].as_array().expect("a list"))
        {
            let wanted = wanted["entities"].as_array().expect("a list");
            assert_eq!(result.entities.len(), wanted.len());
            for (found, wanted) in result.entities.iter().zip(wanted) {
                expect_score(found.score, &wanted["score"]);
                let found = json!({
                    "label": found.label, "start": found.start, "end": found.end, "text": found.text,
                    "score": wanted["score"],
                });
                assert_eq!(found, *wanted);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_answers_as_over_http() {
    let server = default_server();
    let mut client = ElectraClient::new(channel(&server).await);
    let context = "Mary wrote the letter in Berlin. 😀 The weather was cold. ".repeat(20);
    let question = "Who wrote the letter?";
    let body = json!({
        "items": [{"question": question, "context": context}],
        "top_k": 3, "no_answer": true, "max_answer_tokens": 5, "stride": 16, "offsets": "utf16",
    });
    let http = server.ask("/qa", &body).await;
    let item = proto::QuestionAndContext {
        question: question.to_owned(),
        context: context.clone(),
    };
    let request = proto::AnswerRequest {
        items: vec![item],
        top_k: Some(3),
        no_answer: Some(true),
        max_answer_tokens: Some(5),
        stride: Some(16),
        offsets: proto::Offsets::Utf16.into(),
        ..Default::default()
    };
    let answer = client
        .answer(request)
        .await
        .expect("an answer")
        .into_inner();
    let wanted = &http["results"][0];
    expect_score(
        answer.results[0].no_answer_score,
        &wanted["no_answer_score"],
    );
    let wanted = wanted["answers"].as_array().expect("a list");
    assert_eq!(answer.results[0].answers.len(), wanted.len());
    for (found, wanted) in answer.results[0].answers.iter().zip(wanted) {
        expect_score(found.score, &wanted["score"]);
        let found = json!({
            "text": found.text, "start": found.start, "end": found.end, "score": wanted["score"],
        });
        assert_eq!(found, *wanted);
    }
    // One question without a list.
    let single = proto::AnswerRequest {
        question: Some(question.to_owned()),
        context: Some(context),
        ..Default::default()
    };
    let answer = client
        .answer(single.clone())
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(answer.results[0].answers.len(), 1);
    for (request, name) in [
        (
            proto::AnswerRequest {
                context: None,
                ..single.clone()
            },
            "missing_field",
        ),
        (
            proto::AnswerRequest {
                top_k: Some(0),
                ..single.clone()
            },
            "invalid_value",
        ),
        (
            proto::AnswerRequest {
                stride: Some(500),
                ..single
            },
            "invalid_value",
        ),
        (proto::AnswerRequest::default(), "missing_field"),
    ] {
        let status = client.answer(request).await.expect_err("a refusal");
        assert_eq!(code(&status), (Code::InvalidArgument, name));
    }
}

/// A status, and the code of its error.
pub fn code(status: &Status) -> (Code, &str) {
    let name = status.metadata().get("error-code").expect("a code");
    (status.code(), name.to_str().expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_as_single_calls_do_and_in_order() {
    let server = default_server();
    let mut client = ElectraClient::new(channel(&server).await);
    let sentences = [
        "The cat sat on the mat.",
        "She poured the piano into a cup.",
        "Rain.",
        "The old bridge across the river was closed last winter after a long storm.",
    ];
    let request = move |index: usize| proto::DiscriminateRequest {
        text: vec![sentences[index % sentences.len()].to_owned()],
        ..Default::default()
    };
    let mut single = Vec::new();
    for index in 0..sentences.len() {
        let answer = client
            .discriminate(request(index))
            .await
            .expect("an answer");
        single.push(answer.into_inner());
    }
    let responses = client
        .discriminate_stream(iter((0..600).map(request)))
        .await;
    let mut responses = responses.expect("a stream").into_inner();
    let mut count = 0;
    while let Some(response) = responses.next().await {
        assert_eq!(
            response.expect("a response"),
            single[count % sentences.len()]
        );
        count += 1;
    }
    assert_eq!(count, 600);
}

async fn health(channel: &Channel, name: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest {
        service: name.to_owned(),
    };
    let response = HealthClient::new(channel.clone()).check(request).await?;
    Ok(response.into_inner().status())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_loading_and_unloading() {
    let models = repository(&["token-cased"]);
    let server = Server::start_unready(config(models.path())).await;
    let channel = channel(&server).await;
    let request = HealthCheckRequest::default();
    let watch = HealthClient::new(channel.clone()).watch(request).await;
    let mut watch = watch.expect("a stream").into_inner();
    // Whatever came first, it ends in this.
    eventually("health is SERVING", async || {
        let told = watch.next().await.expect("a status").expect("a status");
        (told.status() == ServingStatus::Serving).then_some(())
    })
    .await;
    server.wait_until_ready().await;
    let name = "token-cased";
    assert_eq!(
        health(&channel, name).await.expect("known"),
        ServingStatus::Serving
    );
    let path = format!("/v2/repository/models/{name}");
    server.ask(&format!("{path}/unload"), &json!({})).await;
    assert_eq!(
        health(&channel, name).await.expect("known"),
        ServingStatus::NotServing
    );
    let request = proto::TagRequest {
        text: vec!["a".to_owned()],
        model: Some(name.to_owned()),
        ..Default::default()
    };
    let mut client = ElectraClient::new(channel.clone());
    let status = client.tag(request.clone()).await.expect_err("a refusal");
    assert_eq!(code(&status), (Code::Unavailable, "model_unloaded"));
    server.ask(&format!("{path}/load"), &json!({})).await;
    assert_eq!(
        health(&channel, name).await.expect("known"),
        ServingStatus::Serving
    );
    client.tag(request).await.expect("an answer");
    drop((client, channel, watch));
    server.ended().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_listens_for_grpc_and_says_where() {
    let process = ServerProcess::start(&default_models(), &[]);
    let channel = connect(process.grpc).await;
    assert!(health(&channel, "electra.v1.Electra").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_can_be_off() {
    let models = repository(&["token-cased"]);
    let mut settings = config(models.path());
    settings.grpc = None;
    let server = Server::start(settings).await;
    assert_eq!(server.grpc, None);
    server.ask("/tag", &json!({"text": "a"})).await;
    server.ended().await.expect("a clean end");
}
