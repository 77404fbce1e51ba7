//! Tests of bodies: what is held of messages, and what happens when the budget is full.

use std::future::{pending, poll_fn};
use std::time::Duration;

use http_body_util::StreamBody;
use hyper::HeaderMap;
use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::time::{Instant, advance};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Code;

use super::*;
use crate::client::Client;
use crate::inflight::{Hold, InflightBytes};
use crate::testing::{HeldClock, eventually, soon};

/// A message as gRPC frames it.
fn message(length: u8) -> Vec<u8> {
    let mut framed = vec![0, 0, 0, 0, length];
    framed.extend(vec![7; usize::from(length)]);
    framed
}

/// A budget of which one client can hold 100 bytes.
fn budget() -> (InflightBytes, ClientBytes) {
    let budget = InflightBytes::new(133);
    let client = budget.of(Client::Local);
    (budget, client)
}

/// A body of the data that is sent, counted as its client's.
fn body(
    client: &ClientBytes,
    is_stream: bool,
) -> (
    mpsc::Sender<Vec<u8>>,
    CountedBody<impl Body<Data = Bytes, Error = Status> + Unpin>,
) {
    late_body(client, is_stream, pending())
}

/// As [`body`], for a server that gives up bodies once `late` completes.
fn late_body(
    client: &ClientBytes,
    is_stream: bool,
    late: impl Future<Output = ()> + Send + 'static,
) -> (
    mpsc::Sender<Vec<u8>>,
    CountedBody<impl Body<Data = Bytes, Error = Status> + Unpin>,
) {
    let (sender, sent) = mpsc::channel::<Vec<u8>>(1);
    let frames = ReceiverStream::new(sent).map(|data| Ok(Frame::data(Bytes::from(data))));
    let frames: Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Status>> + Send>> = Box::pin(frames);
    let counted = CountedBody::new(StreamBody::new(frames), client, is_stream, late);
    (sender, counted)
}

async fn data<B: Body<Data = Bytes, Error = Status> + Unpin>(
    body: &mut CountedBody<B>,
) -> Result<Bytes, Status> {
    let frame = body.frame();
    let frame = soon("a frame", frame).await.expect("a frame")?;
    Ok(frame.into_data().expect("data"))
}

#[tokio::test]
async fn a_message_is_held_until_it_is_complete() {
    let (budget, client) = budget();
    for is_stream in [false, true] {
        let (sender, mut body) = body(&client, is_stream);
        let framed = message(50);
        sender.send(framed[..20].to_vec()).await.unwrap();
        assert_eq!(data(&mut body).await.unwrap().len(), 20);
        assert_eq!(budget.held(), 20);
        // The rest of it, and the beginning of the next.
        let rest = [&framed[20..], &framed[..3]].concat();
        sender.send(rest).await.unwrap();
        data(&mut body).await.unwrap();
        assert_eq!(budget.held(), 3);
        drop(body);
        assert_eq!(budget.held(), 0);
    }
}

#[tokio::test]
async fn a_single_request_beyond_the_budget_is_refused_with_its_code() {
    let (_, client) = budget();
    let (sender, mut body) = body(&client, false);
    let _others = client.reserve(90).unwrap();
    sender.send(message(50)[..20].to_vec()).await.unwrap();
    let refused = data(&mut body).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let error = crate::grpc::status::error(&refused);
    assert_eq!(error, Some(&ServiceError::Overloaded));
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_room_and_not_forever() {
    let _clock = HeldClock::new();
    let (budget, client) = budget();
    let others = client.reserve(90).unwrap();
    let (sender, mut stream) = body(&client, true);
    sender.send(message(50)[..20].to_vec()).await.unwrap();
    assert!(is_pending(&mut stream).await);
    drop(others);
    assert_eq!(data(&mut stream).await.unwrap().len(), 20);
    let _others = client.reserve(80).unwrap();
    sender.send(message(50)[..20].to_vec()).await.unwrap();
    assert!(is_pending(&mut stream).await);
    advance(Duration::from_secs(29)).await;
    assert!(is_pending(&mut stream).await);
    advance(Duration::from_secs(2)).await;
    let refused = data(&mut stream).await.unwrap_err();
    let error = crate::grpc::status::error(&refused);
    assert_eq!(error, Some(&ServiceError::Overloaded));
    drop(stream);
    assert_eq!(budget.held(), 80);
}

#[tokio::test(start_paused = true)]
async fn a_message_may_not_stop_in_its_middle_but_a_stream_may_rest_between_messages() {
    let _clock = HeldClock::new();
    let (_, client) = budget();
    let (sender, mut stream) = body(&client, true);
    sender.send(message(10)).await.unwrap();
    data(&mut stream).await.unwrap();
    advance(Duration::from_hours(1)).await;
    assert!(is_pending(&mut stream).await);
    sender.send(message(50)[..20].to_vec()).await.unwrap();
    data(&mut stream).await.unwrap();
    let began = Instant::now();
    // A byte now and then is no progress.
    for _ in 0..4 {
        advance(Duration::from_secs(2)).await;
        sender.send(vec![7]).await.unwrap();
        data(&mut stream).await.unwrap();
    }
    advance(Duration::from_secs(3)).await;
    let refused = data(&mut stream).await.unwrap_err();
    let error = crate::grpc::status::error(&refused);
    assert_eq!(error, Some(&ServiceError::BodyStalled));
    assert_eq!(began.elapsed().as_secs(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_single_request_that_does_not_end_is_refused_once_bodies_are_late() {
    let _clock = HeldClock::new();
    let (budget, client) = budget();
    // Nothing, half a message, and a message without the end of the stream.
    for sent in [vec![], message(50)[..20].to_vec(), message(10)] {
        let late = tokio::time::sleep(Duration::from_secs(1));
        let (sender, mut single) = late_body(&client, false, late);
        if !sent.is_empty() {
            sender.send(sent).await.unwrap();
            data(&mut single).await.unwrap();
        }
        assert!(is_pending(&mut single).await);
        advance(Duration::from_millis(1001)).await;
        let refused = data(&mut single).await.unwrap_err();
        let error = crate::grpc::status::error(&refused);
        assert_eq!(error, Some(&ServiceError::Draining));
        drop(single);
        assert_eq!(budget.held(), 0);
    }
    let (_sender, mut stream) = late_body(&client, true, std::future::ready(()));
    assert!(is_pending(&mut stream).await, "streams end by themselves");
}

async fn is_pending<B: Body<Data = Bytes, Error = Status> + Unpin>(
    body: &mut CountedBody<B>,
) -> bool {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *body).poll_frame(context).is_pending())).await
}

#[tokio::test]
async fn an_answer_holds_its_bytes_until_they_are_taken() {
    let (budget, client) = budget();
    let answer = || {
        let trailers = HeaderMap::from_iter([(
            hyper::header::HeaderName::from_static("grpc-status"),
            hyper::header::HeaderValue::from_static("0"),
        )]);
        let body = Full::new(Bytes::from(vec![7; 60]))
            .with_trailers(std::future::ready(Some(Ok(trailers))));
        Response::new(tonic::body::Body::new(body))
    };
    let first = held(answer(), &client).await.unwrap();
    assert_eq!(budget.held(), 60);
    let refused = held(answer(), &client).await.map(drop);
    assert_eq!(refused, Err(ServiceError::Overloaded));
    let collected = first.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    let bytes = collected.to_bytes();
    assert_eq!((bytes.len(), budget.held()), (60, 60));
    drop(bytes);
    eventually("it is given back", async || budget.held() == 0).await;
}

proptest! {
    #[test]
    fn messages_are_found_however_they_are_cut(
        lengths in prop::collection::vec(0_u8..200, 0..10), cut in 1_usize..50, lost in 0_usize..300,
    ) {
        let mut sent: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
        // What is left when the end of the last message is still to come.
        let last = lengths.last().map_or(0, |length| usize::from(*length) + 5);
        let lost = lost % (last + 1);
        sent.truncate(sent.len() - lost);
        let mut framing = Framing::default();
        for part in sent.chunks(cut) {
            framing.advance(part);
        }
        let left = if lost == 0 { 0 } else { last - lost };
        prop_assert_eq!(framing.incomplete(), left);
    }
}

/// Holds and bodies move between threads.
#[test]
fn holds_can_be_sent() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Hold>();
}
