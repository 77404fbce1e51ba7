//! How much of a request errors repeat, over both transports: at most 100 characters of a name, and nothing of a text.

use std::collections::HashMap;

use electra_server::grpc::proto::electra as native;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use electra_server::grpc::proto::inference as proto;
use electra_server::grpc::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::grpc::channel;
use crate::harness::{Server, default_server};

const SENTIMENT: &str = "/v2/models/electra-mini-sentiment/infer";

/// A name far longer than any known one.
fn long(length: usize) -> String {
    "x".repeat(length)
}

/// Checks that an error repeats only a part of a name. Other words may come before the name in a quotation.
#[track_caller]
fn expect_short(sentence: &str, what: &str) {
    let most = sentence.split(|letter| letter != 'x').map(str::len).max();
    assert!(
        most.is_some_and(|most| (60..=100).contains(&most)),
        "{what}: {sentence}"
    );
    let count = sentence.chars().filter(|letter| *letter == 'x').count();
    assert!(count < 220 && sentence.len() < 1200, "{what}: {sentence}");
    assert!(sentence.contains('…'), "{what}: {sentence}");
}

async fn sentence(server: &Server, request: reqwest::RequestBuilder) -> String {
    let (status, error) = server.send(request).await;
    assert!(status.is_client_error(), "{status}: {error}");
    error["error"].as_str().expect("a sentence").to_owned()
}

/// Bodies with the name at every place that an error may repeat.
fn named_in_bodies(name: &str) -> Vec<(&'static str, Value)> {
    let text = json!({"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]});
    let input = |field: &str, value: Value| {
        let mut text = text.clone();
        text[field] = value;
        json!({"inputs": [text]})
    };
    let parameters = |name: String| json!({"inputs": [text], "parameters": {name: 1}});
    vec![
        ("/tag", json!({"text": "a", "model": name})),
        ("/tag", json!({"text": "a", name: 1})),
        ("/tag", json!({"text": "a", "aggregation": name})),
        ("/discriminate", json!({"text": "a", "level": name})),
        ("/qa", json!({"items": [{"question": "a", name: "b"}]})),
        (
            "/models/electra-mini-sentiment",
            json!({"inputs": "a", name: 1}),
        ),
        (
            "/models/electra-mini-sentiment",
            json!({"inputs": "a", "options": {name: 1}}),
        ),
        (
            "/models/electra-mini-sentiment",
            json!({"inputs": "a", "parameters": {name: 1}}),
        ),
        (
            "/models/electra-mini-sentiment",
            json!({"inputs": {"text": "a", name: "b"}}),
        ),
        (
            "/models/electra-mini-sentiment",
            json!({"inputs": "a", "parameters": {"function_to_apply": name}}),
        ),
        (
            "/models/electra-mini-sentiment",
            json!({"inputs": "a", "parameters": {"truncation": name}}),
        ),
        (
            "/models/electra-mini-chunker",
            json!({"inputs": "a", "parameters": {"aggregation_strategy": name}}),
        ),
        (SENTIMENT, input("name", json!(name))),
        (SENTIMENT, input("datatype", json!(name))),
        (SENTIMENT, input(name, json!(1))),
        (
            SENTIMENT,
            json!({"inputs": [{"name": name, "datatype": "BYTES", "shape": [2], "data": ["a"]}]}),
        ),
        (
            SENTIMENT,
            json!({"inputs": [text], "outputs": [{"name": name}]}),
        ),
        (
            SENTIMENT,
            json!({"inputs": [text], "outputs": [{"name": name, "parameters": {"classification": 3}}]}),
        ),
        (SENTIMENT, json!({"inputs": [text], "model_name": name})),
        (SENTIMENT, json!({"inputs": [text], name: 1})),
        (SENTIMENT, parameters(format!("shared_memory_{name}"))),
        (
            "/v2/repository/models/electra-mini-qa/load",
            json!({"parameters": {format!("file:{name}"): "AAAA"}}),
        ),
        (
            "/v2/repository/models/electra-mini-qa/unload",
            json!({"parameters": {name: true}}),
        ),
        ("/v2/repository/index", json!({name: true})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_that_http_repeats_is_cut() {
    let server = default_server();
    let (name, url) = (long(1_900_000), long(50_000));
    for path in [
        format!("/{url}"),
        format!("/models/{url}"),
        format!("/models/{url}/info"),
        format!("/models/{url}/health"),
        format!("/docs/{url}"),
        format!("/v2/models/{url}"),
        format!("/v2/models/{url}/stats"),
        format!("/v2/models/electra-mini-qa/versions/{url}/ready"),
    ] {
        let what: String = path.chars().take(40).collect();
        expect_short(&sentence(&server, server.get(&path)).await, &what);
    }
    let delete = server
        .client
        .request(Method::DELETE, server.url(&format!("/models/{url}")));
    expect_short(&sentence(&server, delete).await, "DELETE");
    let method = Method::from_bytes(long(200).as_bytes()).expect("a method");
    let method = server.client.request(method, server.url("/tag"));
    expect_short(&sentence(&server, method).await, "a method");
    for (header, value) in [
        (CONTENT_TYPE, format!("text/{}", long(5000))),
        (CONTENT_ENCODING, long(5000)),
    ] {
        let request = server.client.post(server.url("/tag"));
        let request = request.header(&header, value).body("{}");
        expect_short(&sentence(&server, request).await, header.as_str());
    }

    for (path, body) in named_in_bodies(&name) {
        let body_start: String = body.to_string().chars().take(60).collect();
        let what = format!("{path} {body_start}");
        expect_short(&sentence(&server, server.post(path, &body)).await, &what);
    }
    let shape =
        json!({"name": "text", "datatype": "BYTES", "shape": vec![1; 50_000], "data": ["a"]});
    let shape = server.post(SENTIMENT, &json!({"inputs": [shape]}));
    let found = sentence(&server, shape).await;
    assert!(found.contains("[1, 1, 1") && found.len() < 500, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_repeats_a_text() {
    let server = default_server();
    let secret = "a private sentence";
    for (path, body) in [
        ("/tag", json!({"text": {secret: secret}})),
        ("/tag", json!({"text": ["a", {"b": secret}]})),
        ("/tag", json!(secret)),
        ("/tag", json!([secret])),
        ("/classify", json!({"text": [["a", "b", secret]]})),
        ("/classify", json!({"text": "a", "top_k": secret})),
        ("/classify", json!({"text": "a", "truncate": secret})),
        ("/discriminate", json!({"text": "a", "threshold": secret})),
        ("/qa", json!({"items": secret})),
        ("/qa", json!({"question": [secret], "context": "a"})),
        (
            "/models/electra-mini-chunker",
            json!({"inputs": [[secret]]}),
        ),
        (
            "/models/electra-mini-chunker",
            json!({"inputs": secret, "parameters": {"is_split_into_words": true}}),
        ),
        ("/models/electra-mini-qa", json!({"inputs": secret})),
        (
            "/models/electra-mini-sentiment",
            json!({"inputs": [[secret, secret]]}),
        ),
        (
            SENTIMENT,
            json!({"inputs": [{"name": "text", "datatype": "INT64", "shape": [1], "data": [secret]}]}),
        ),
        (
            SENTIMENT,
            json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": secret}]}),
        ),
        (
            SENTIMENT,
            json!({"inputs": [secret], "parameters": {"timeout": secret}}),
        ),
    ] {
        let found = sentence(&server, server.post(path, &body)).await;
        assert!(!found.contains(secret), "{path} {body}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_surrogate_is_refused_with_its_place() {
    let server = default_server();
    for (path, body, place) in [
        ("/tag", r#"{"text": ["ok", "\ud800"]}"#, "`text[1]`"),
        ("/discriminate", r#"{"text": "cut \ud83d"}"#, "`text`"),
        (
            "/classify",
            r#"{"text": [["a", "\udc00"]]}"#,
            "`text[0][1]`",
        ),
        (
            "/qa",
            r#"{"items": [{"question": "a", "context": "\ud83d"}]}"#,
            "`items[0].context`",
        ),
        (
            "/models/electra-mini-sentiment",
            r#"{"inputs": ["a", "\ud83d b"]}"#,
            "`inputs[1]`",
        ),
        (
            SENTIMENT,
            r#"{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "\ud83d"]}]}"#,
            "`inputs[0].data[1]`",
        ),
    ] {
        let request = server.client.post(server.url(path));
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let error = server.refused(request, 400, "invalid_json").await;
        let sentence = error["error"].as_str().expect("a sentence");
        assert!(
            sentence.starts_with(&format!("{place} holds a lone surrogate")),
            "{path}: {sentence}"
        );
    }
}

type Change = Box<dyn Fn(&mut proto::ModelInferRequest, String) + Send>;

/// Ways to insert a name into an inference request.
fn changes() -> [(&'static str, Change); 7] {
    let number = proto::InferParameter {
        parameter_choice: Some(proto::infer_parameter::ParameterChoice::Int64Param(1)),
    };
    [
        (
            "model_name",
            Box::new(|request, name| request.model_name = name),
        ),
        (
            "model_version",
            Box::new(|request, name| request.model_version = name),
        ),
        (
            "input",
            Box::new(|request, name| request.inputs[0].name = name),
        ),
        (
            "datatype",
            Box::new(|request, name| request.inputs[0].datatype = name),
        ),
        (
            "size",
            Box::new(|request, name| {
                request.inputs[0].name = name;
                request.inputs[0].shape = vec![2];
            }),
        ),
        (
            "output",
            Box::new(|request, name| {
                let output = proto::model_infer_request::InferRequestedOutputTensor {
                    name,
                    ..Default::default()
                };
                request.outputs = vec![output];
            }),
        ),
        (
            "parameter",
            Box::new(move |request, name| {
                let name = format!("shared_memory_{name}");
                request.parameters = HashMap::from([(name, number.clone())]);
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_that_grpc_repeats_is_cut() {
    let server = default_server();
    let channel = channel(&server).await;
    let name = long(1_900_000);
    let check = |status: Status, what: &str| {
        assert_ne!(status.code(), Code::Internal, "{what}: {status:?}");
        expect_short(status.message(), what);
    };

    let mut electra = ElectraClient::new(channel.clone());
    let request = native::TagRequest {
        text: vec!["a".to_owned()],
        model: Some(name.clone()),
        ..Default::default()
    };
    let status = electra.tag(request).await.expect_err("a refusal");
    check(status, "a model");

    let mut health = HealthClient::new(channel.clone());
    let service = HealthCheckRequest {
        service: name.clone(),
    };
    check(
        health.check(service).await.expect_err("a refusal"),
        "health",
    );
    let status = reflection(channel.clone(), &name).await;
    check(status, "reflection");

    let mut client = GrpcInferenceServiceClient::new(channel);
    let text = proto::model_infer_request::InferInputTensor {
        name: "text".to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![1],
        contents: Some(proto::InferTensorContents {
            bytes_contents: vec![b"a".to_vec()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let whole = proto::ModelInferRequest {
        model_name: "electra-mini-sentiment".to_owned(),
        inputs: vec![text.clone()],
        ..Default::default()
    };
    for (what, change) in changes() {
        let mut request = whole.clone();
        change(&mut request, name.clone());
        check(
            client.model_infer(request).await.expect_err("a refusal"),
            what,
        );
    }
    let index = proto::RepositoryIndexRequest {
        repository_name: name.clone(),
        ..Default::default()
    };
    let status = client.repository_index(index).await.expect_err("a refusal");
    check(status, "a repository");
    let load = proto::RepositoryModelLoadRequest {
        model_name: name.clone(),
        ..Default::default()
    };
    let status = client.repository_model_load(load).await;
    check(status.expect_err("a refusal"), "loading");
}

/// The status that reflection returns for an unknown symbol.
async fn reflection(channel: Channel, symbol: &str) -> Status {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(symbol.to_owned())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client
        .server_reflection_info(Request::new(tokio_stream::iter([question])))
        .await;
    let mut answers = answers.expect("a stream").into_inner();
    answers.message().await.expect_err("a refusal")
}
