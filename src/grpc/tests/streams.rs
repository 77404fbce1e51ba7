//! Streams of requests: order, bounds, failures, and how they end.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{StreamExt, iter};
use tonic::Streaming;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::grpc::proto::electra::TagResponse;
use crate::grpc::stream::IN_FLIGHT;
use crate::testing::eventually;

/// The nth request. Its answer has n entities, so the order of answers shows.
fn numbered(number: usize) -> TagRequest {
    tag(&"fox ".repeat(number % 7))
}

/// Reads responses to the end of the stream.
async fn read(mut responses: Streaming<TagResponse>) -> (Vec<usize>, Option<Status>) {
    let mut found = Vec::new();
    while let Some(response) = responses.next().await {
        match response {
            Ok(response) => found.push(response.results[0].entities.len()),
            Err(status) => return (found, Some(status)),
        }
    }
    (found, None)
}

/// Opens a stream that requests can be added to.
async fn open(served: &Served) -> (mpsc::Sender<TagRequest>, Streaming<TagResponse>) {
    let (requests, sent) = mpsc::channel(1);
    let responses = served.client().tag_stream(ReceiverStream::new(sent)).await;
    (requests, responses.unwrap().into_inner())
}

#[tokio::test]
async fn responses_come_in_the_order_of_their_requests() {
    let fixture = Fixture::with(Task::Tag, Limits::default(), 4);
    let served = Served::over(&fixture).await;
    let requests = iter((0..2000).map(numbered));
    // The queue has no room for all requests in flight. The stream waits for room and does not fail.
    let responses = served.client().tag_stream(requests).await.unwrap();
    let (found, end) = read(responses.into_inner()).await;
    let expected: Vec<usize> = (0..2000).map(|number| number % 7).collect();
    assert_eq!(found, expected);
    assert!(end.is_none(), "{end:?}");
    let line = r#"electra_requests_total{route="/electra.v1.Electra/TagStream",model="model",code="200"} 1"#;
    fixture.until_counted(line).await;
}

#[tokio::test]
async fn a_stream_reads_no_more_than_it_may_have_in_flight() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    fixture.model.shut();
    let mut other = served.client();
    let held = tokio::spawn(async move { other.tag(tag("fox")).await });
    // The only worker is blocked, so the whole stream waits.
    fixture.model.until_begun(1).await;
    let requests = iter((0..500).map(numbered));
    let responses = served.client().tag_stream(requests).await.unwrap();
    let waiting = || {
        let exposition = fixture.metrics.encode().unwrap();
        let depth = exposition
            .lines()
            .find_map(|line| line.strip_prefix("electra_queue_depth{model=\"model\"} "));
        depth.unwrap().parse::<usize>().unwrap()
    };
    // Requests without a token never enter the queue.
    eventually("20 requests wait", async || waiting() >= 20).await;
    for _ in 0..50 {
        let health = HealthCheckRequest::default();
        HealthClient::new(served.channel.clone())
            .check(health)
            .await
            .unwrap();
        assert!(waiting() <= IN_FLIGHT);
    }
    fixture.model.open();
    assert!(held.await.unwrap().is_ok());
    assert_eq!(read(responses.into_inner()).await.0.len(), 500);
}

#[tokio::test]
async fn the_first_request_that_fails_ends_its_stream() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let request = |number| match number {
        5 => TagRequest::default(),
        number => numbered(number),
    };
    let requests = iter((0..100).map(request));
    let responses = served.client().tag_stream(requests).await.unwrap();
    let (found, end) = read(responses.into_inner()).await;
    assert_eq!(found, [0, 1, 2, 3, 4]);
    let end = end.unwrap();
    expect(&end, Code::InvalidArgument, "empty_input");
    assert!(
        end.message().starts_with("Request 5 of the stream: "),
        "{end:?}"
    );
    let line = r#"electra_requests_total{route="/electra.v1.Electra/TagStream",model="model",code="422"} 1"#;
    fixture.until_counted(line).await;
}

#[tokio::test]
async fn a_request_that_is_too_long_ends_its_stream_behind_those_before() {
    let limits = Limits {
        max_body_bytes: 64,
        ..Limits::default()
    };
    let fixture = Fixture::with(Task::Tag, limits, 64);
    let served = Served::over(&fixture).await;
    let requests = iter([tag("fox"), tag(&"a".repeat(65)), tag("fox")]);
    let responses = served.client().tag_stream(requests).await.unwrap();
    let (found, end) = read(responses.into_inner()).await;
    assert_eq!(found, [1]);
    expect(&end.unwrap(), Code::ResourceExhausted, "body_too_large");
}

#[tokio::test]
async fn a_stream_ends_with_its_deadline() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let pending = tokio_stream::pending::<TagRequest>();
    let requests = iter([tag("fox")]).chain(pending);
    let requests = with(requests, "grpc-timeout", "200m");
    let responses = served.client().tag_stream(requests).await.unwrap();
    let (found, end) = read(responses.into_inner()).await;
    assert_eq!(found, [1]);
    expect(&end.unwrap(), Code::DeadlineExceeded, "deadline_exceeded");
}

#[tokio::test]
async fn a_stream_whose_client_has_gone_is_not_computed() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    fixture.model.shut();
    let (requests, responses) = open(&served).await;
    requests.send(tag("a")).await.unwrap();
    fixture.model.until_begun(1).await;
    for _ in 0..2 {
        requests.send(tag("fox")).await.unwrap();
    }
    fixture.until_queued(2).await;
    drop((requests, responses));
    fixture.until_counted("code=\"499\"").await;
    fixture.until_queued(0).await;
    fixture.model.open();
    served.client().tag(tag("a")).await.unwrap();
    assert_eq!(runs(&fixture), 2);
}

#[tokio::test]
async fn a_stopping_server_answers_what_it_read_and_ends_the_stream() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    fixture.model.shut();
    let (requests, responses) = open(&served).await;
    requests.send(numbered(1)).await.unwrap();
    fixture.model.until_begun(1).await;
    for number in 2..=3 {
        requests.send(numbered(number)).await.unwrap();
    }
    fixture.until_queued(2).await;
    fixture.service.enter(Stage::Draining);
    served.stop.send(Stage::Draining).unwrap();
    fixture.model.open();
    let (found, end) = read(responses).await;
    assert_eq!(found, [1, 2, 3]);
    expect(&end.unwrap(), Code::Unavailable, "draining");
    // The client keeps its side open the whole time.
    served.ended.await.unwrap();
    drop(requests);
}

#[tokio::test]
async fn an_idle_stream_costs_nothing_and_goes_on() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let (requests, mut responses) = open(&served).await;
    for number in 1..=3 {
        requests.send(numbered(number)).await.unwrap();
        let response = responses.next().await.unwrap().unwrap();
        assert_eq!(response.results[0].entities.len(), number);
        let early = tokio::time::timeout(Duration::from_millis(1), responses.next());
        assert!(early.await.is_err(), "nothing was asked");
    }
    drop(requests);
    assert!(responses.next().await.is_none());
}
