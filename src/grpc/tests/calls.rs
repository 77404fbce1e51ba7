//! Unary calls: answers, errors, deadlines, and their metadata.

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::advance;
use tonic::codec::CompressionEncoding;
use tonic_prost::ProstCodec;

use super::*;
use crate::grpc::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use crate::grpc::proto::inference::infer_parameter::ParameterChoice;
use crate::grpc::proto::{electra as proto, inference};
use crate::testing::{HeldClock, soon};

#[tokio::test]
async fn every_task_has_its_method() {
    let fixture = Fixture::new(Task::Discriminate);
    let mut client = Served::over(&fixture).await.client();
    let request = proto::DiscriminateRequest {
        text: vec!["the fake foxes".to_owned(), String::new()],
        offsets: proto::Offsets::Utf8.into(),
        ..Default::default()
    };
    let response = client.discriminate(request.clone()).await.unwrap();
    let timing = response.metadata().get("server-timing").unwrap();
    assert!(timing.to_str().unwrap().starts_with("tokenize;dur="));
    let answer = response.into_inner();
    assert_eq!((answer.model.as_str(), answer.results.len()), ("model", 2));
    let token = &answer.results[0].tokens[1];
    assert_eq!((token.token.as_str(), token.fake), ("fake", true));
    assert_eq!((token.start, token.end), (4, 8));
    let words = proto::DiscriminateRequest {
        level: proto::Level::Word.into(),
        threshold: Some(0.99),
        ..request
    };
    let answer = client.discriminate(words).await.unwrap().into_inner();
    let words = &answer.results[0].words;
    assert_eq!((words[2].word.as_str(), words[1].fake), ("foxes", false));

    let fixture = Fixture::new(Task::Classify);
    let mut client = Served::over(&fixture).await.client();
    let request = proto::ClassifyRequest {
        text: vec!["good".to_owned()],
        text_pair: vec!["good".to_owned()],
        top_k: Some(1),
        function: proto::ScoreFunction::None.into(),
        ..Default::default()
    };
    // An error names the field that a text came in.
    let empty = proto::ClassifyRequest {
        text_pair: vec![String::new()],
        ..request.clone()
    };
    let status = client.classify(empty).await.unwrap_err();
    assert!(
        status.message().starts_with("`text_pair[0]` "),
        "{status:?}"
    );
    let answer = client.classify(request).await.unwrap().into_inner();
    let labels = &answer.results[0].labels;
    assert_eq!((labels.len(), labels[0].label.as_str()), (1, "good"));
    assert!((labels[0].score - 2.0).abs() < 1e-6);

    let fixture = Fixture::new(Task::Tag);
    let mut client = Served::over(&fixture).await.client();
    let answer = client.tag(tag("the foxes")).await.unwrap().into_inner();
    let entity = &answer.results[0].entities[0];
    assert_eq!(
        (entity.label.as_str(), entity.text.as_str()),
        ("X", "foxes")
    );
    assert_eq!((entity.start, entity.end), (4, 9));

    let fixture = Fixture::new(Task::Qa);
    let mut client = Served::over(&fixture).await.client();
    let item = proto::QuestionAndContext {
        question: "?".to_owned(),
        context: "the answer".to_owned(),
    };
    let request = proto::AnswerRequest {
        items: vec![item],
        ..Default::default()
    };
    let answer = client.answer(request).await.unwrap().into_inner();
    assert_eq!(answer.results[0].answers[0].text, "answer");
}

#[tokio::test]
async fn what_can_not_be_answered_has_its_status_and_code() {
    let limits = Limits {
        max_inputs: 2,
        max_text_bytes: 16,
        ..Limits::default()
    };
    let fixture = Fixture::with(Task::Tag, limits, 64);
    let mut client = Served::over(&fixture).await.client();
    let texts = |texts: &[&str]| TagRequest {
        text: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..TagRequest::default()
    };
    let named = |model: &str| TagRequest {
        model: Some(model.to_owned()),
        ..tag("a")
    };
    let unnamed = TagRequest {
        aggregation: 77,
        ..tag("a")
    };
    for (request, code, name) in [
        (texts(&[]), Code::InvalidArgument, "empty_input"),
        (
            texts(&["a", "a", "a"]),
            Code::InvalidArgument,
            "too_many_inputs",
        ),
        (
            tag("much too long a text"),
            Code::InvalidArgument,
            "text_too_long",
        ),
        (named("other"), Code::NotFound, "model_not_found"),
        (unnamed, Code::InvalidArgument, "invalid_value"),
    ] {
        let status = client.tag(request).await.unwrap_err();
        expect(&status, code, name);
    }
    let status = client.tag(with(tag("a"), "x-request-priority", "9")).await;
    expect(
        &status.unwrap_err(),
        Code::InvalidArgument,
        "invalid_header",
    );
    let qa = proto::AnswerRequest {
        question: Some("?".to_owned()),
        model: Some("model".to_owned()),
        ..Default::default()
    };
    let status = client.answer(qa.clone()).await.unwrap_err();
    expect(&status, Code::InvalidArgument, "wrong_task");
    let no_model = proto::AnswerRequest { model: None, ..qa };
    let status = client.answer(no_model).await.unwrap_err();
    expect(&status, Code::NotFound, "model_not_found");
}

/// A tag request whose text may be any bytes, not only UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
struct Bytes {
    #[prost(bytes = "vec", tag = "1")]
    text: Vec<u8>,
}

/// Calls a method with a message that has no generated client.
async fn call(channel: &Channel, path: &'static str, text: Vec<u8>) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<Bytes, Bytes>::default();
    let path = path.parse().unwrap();
    let response = grpc.unary(Request::new(Bytes { text }), path, codec).await;
    response.unwrap_err()
}

#[tokio::test]
async fn what_can_not_be_read_has_the_same_shape() {
    let limits = Limits {
        max_body_bytes: 64,
        ..Limits::default()
    };
    let fixture = Fixture::with(Task::Tag, limits, 64);
    let served = Served::over(&fixture).await;
    let tag_path = "/electra.v1.Electra/Tag";
    let status = call(&served.channel, tag_path, vec![0xff]).await;
    expect(&status, Code::InvalidArgument, "invalid_message");
    let status = call(&served.channel, tag_path, vec![b'a'; 64]).await;
    expect(&status, Code::ResourceExhausted, "body_too_large");
    let status = call(&served.channel, "/electra.v1.Electra/Tags", vec![]).await;
    expect(&status, Code::Unimplemented, "route_not_found");
    // This message is below the limit only while compressed.
    let mut client = served.client().send_compressed(CompressionEncoding::Gzip);
    let status = client.tag(tag(&"a".repeat(1000))).await.unwrap_err();
    expect(&status, Code::ResourceExhausted, "body_too_large");
    let line = r#"electra_requests_total{route="unmatched",model="",code="404"} 1"#;
    fixture.until_counted(line).await;
    assert_eq!(runs(&fixture), 0);
}

#[tokio::test]
async fn answers_are_compressed_as_their_requests_were() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let reads_gzip = || served.client().accept_compressed(CompressionEncoding::Gzip);
    let mut sends_gzip = reads_gzip().send_compressed(CompressionEncoding::Gzip);
    let encoding = |response: &tonic::Response<proto::TagResponse>| {
        let metadata = response.metadata().get("grpc-encoding");
        metadata.map(|encoding| encoding.to_str().unwrap().to_owned())
    };
    let plain = reads_gzip().tag(tag("fox")).await.unwrap();
    let compressed = sends_gzip.tag(tag("fox")).await.unwrap();
    assert_eq!(encoding(&plain), None);
    assert_eq!(encoding(&compressed).as_deref(), Some("gzip"));
    assert_eq!(plain.into_inner(), compressed.into_inner());
}

#[tokio::test]
async fn a_call_keeps_its_id_and_is_counted() {
    let fixture = Fixture::new(Task::Tag);
    let mut client = Served::over(&fixture).await.client();
    let answer = client.tag(with(tag("fox"), "x-request-id", "mine")).await;
    assert_eq!(
        answer.unwrap().metadata().get("x-request-id").unwrap(),
        "mine"
    );
    let refused = client.tag(with(TagRequest::default(), "x-request-id", "mine"));
    let status = refused.await.unwrap_err();
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "mine");
    let made = client.tag(tag("fox")).await.unwrap();
    assert!(made.metadata().get("x-request-id").is_some());
    for line in [
        r#"electra_requests_total{route="/electra.v1.Electra/Tag",model="model",code="200"} 2"#,
        r#"electra_requests_total{route="/electra.v1.Electra/Tag",model="model",code="422"} 1"#,
    ] {
        fixture.until_counted(line).await;
    }
}

#[tokio::test]
async fn a_passed_deadline_runs_nothing() {
    let fixture = Fixture::new(Task::Tag);
    let mut client = Served::hurried(&fixture).await.client();
    let patient = || with(tag("a"), "grpc-timeout", "1M");
    fixture.model.shut();
    let held = tokio::spawn({
        let mut client = client.clone();
        async move { client.tag(patient()).await }
    });
    fixture.model.until_begun(1).await;
    let status = client.tag(tag("fox")).await.unwrap_err();
    expect(&status, Code::DeadlineExceeded, "deadline_exceeded");
    let malformed = client.tag(with(tag("fox"), "grpc-timeout", "soon")).await;
    let status = malformed.unwrap_err();
    expect(&status, Code::InvalidArgument, "invalid_header");
    fixture.model.open();
    held.await.unwrap().unwrap();
    client.tag(patient()).await.unwrap();
    assert_eq!(runs(&fixture), 2, "the expired request was run");
}

#[tokio::test(start_paused = true)]
async fn tensors_may_ask_for_more_than_the_usual_time() {
    let _clock = HeldClock::new();
    let fixture = Fixture::new(Task::Tag);
    let served = Served::hurried(&fixture).await;
    fixture.model.shut();
    let minute = inference::InferParameter {
        parameter_choice: Some(ParameterChoice::Int64Param(60_000_000)),
    };
    let text = inference::InferTensorContents {
        bytes_contents: vec![b"a".to_vec()],
        ..Default::default()
    };
    let request = inference::ModelInferRequest {
        model_name: "model".to_owned(),
        parameters: [("timeout".to_owned(), minute)].into(),
        inputs: vec![inference::model_infer_request::InferInputTensor {
            name: "text".to_owned(),
            datatype: "BYTES".to_owned(),
            shape: vec![1],
            contents: Some(text),
            ..Default::default()
        }],
        ..Default::default()
    };
    let patient = tokio::spawn({
        let mut client = GrpcInferenceServiceClient::new(served.channel.clone());
        async move { client.model_infer(request).await }
    });
    fixture.model.until_begun(1).await;
    let usual = tokio::spawn({
        let mut client = served.client();
        async move { client.tag(tag("fox")).await }
    });
    fixture.until_queued(1).await;
    // Both calls have now used up the default timeout.
    advance(USUAL_TIME).await;
    let status = soon("the usual request is answered", usual).await;
    let status = status.unwrap().unwrap_err();
    expect(&status, Code::DeadlineExceeded, "deadline_exceeded");
    fixture.model.open();
    patient.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_queue_says_when_to_try_again() {
    let fixture = Fixture::with(Task::Tag, Limits::default(), 1);
    let mut client = Served::over(&fixture).await.client();
    fixture.model.shut();
    let call = || {
        let mut client = client.clone();
        tokio::spawn(async move { client.tag(tag("a")).await })
    };
    let runs = call();
    fixture.model.until_begun(1).await;
    let waits = call();
    fixture.until_queued(1).await;
    let status = client.tag(tag("a")).await.unwrap_err();
    expect(&status, Code::ResourceExhausted, "queue_full");
    let retry_after = status.metadata().get("retry-after").unwrap();
    assert!(retry_after.to_str().unwrap().parse::<u64>().unwrap() >= 1);
    fixture.model.open();
    for call in [runs, waits] {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_client_that_has_gone_is_not_computed_for() {
    let fixture = Fixture::new(Task::Tag);
    let mut client = Served::over(&fixture).await.client();
    fixture.model.shut();
    let first = tokio::spawn({
        let mut client = client.clone();
        async move { client.tag(tag("a")).await }
    });
    fixture.model.until_begun(1).await;
    let gone = tokio::spawn({
        let mut client = client.clone();
        async move { client.tag(tag("fox")).await }
    });
    fixture.until_queued(1).await;
    gone.abort();
    fixture.until_counted("code=\"499\"").await;
    fixture.model.open();
    first.await.unwrap().unwrap();
    client.tag(tag("a")).await.unwrap();
    assert_eq!(runs(&fixture), 2);
}

#[tokio::test]
async fn a_request_that_never_comes_is_not_waited_for() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::hurried(&fixture).await;
    let mut grpc = tonic::client::Grpc::new(served.channel.clone());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<TagRequest, proto::TagResponse>::default();
    let never = Request::new(tokio_stream::pending::<TagRequest>());
    let path = "/electra.v1.Electra/Tag".parse().unwrap();
    let status = grpc.client_streaming(never, path, codec).await.unwrap_err();
    expect(&status, Code::DeadlineExceeded, "deadline_exceeded");
}

#[tokio::test]
async fn a_stopping_server_answers_what_it_accepted_and_takes_nothing_new() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    fixture.model.shut();
    let accepted = tokio::spawn({
        let mut client = served.client();
        async move { client.tag(tag("fox")).await }
    });
    fixture.model.until_begun(1).await;
    fixture.service.enter(Stage::Draining);
    let status = served.client().tag(tag("a")).await.unwrap_err();
    expect(&status, Code::Unavailable, "draining");
    served.stop.send(Stage::Draining).unwrap();
    fixture.model.open();
    let answer = accepted.await.unwrap().unwrap().into_inner();
    assert_eq!(answer.results[0].entities.len(), 1);
    served.ended.await.unwrap();
}

#[tokio::test]
async fn what_is_no_grpc_is_refused() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<String>();
    let url = format!("http://{}/electra.v1.Electra/Tag", served.address);
    let request = hyper::Request::post(url).body("{}".to_owned()).unwrap();
    assert_eq!(client.request(request).await.unwrap().status(), 415);
}
