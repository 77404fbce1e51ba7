//! The budget of bytes: what requests and unread answers hold is bounded, and given back.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use electra_server::config::Config;
use electra_server::export::Precision;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::harness::{Server, config, eventually, exported};

const MEBIBYTE: usize = 1 << 20;

/// A server of one small model, whose requests may hold so many mebibytes.
async fn limited(mebibytes: usize) -> Server {
    let model = exported("discriminator-plain", Precision::Fp32);
    Server::start(Config {
        max_inflight_bytes: NonZeroUsize::new(mebibytes * MEBIBYTE).expect("some"),
        ..config(&model)
    })
    .await
}

impl Server {
    async fn inflight(&self) -> usize {
        let metrics = self.metrics().await;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("electra_inflight_bytes "));
        line.expect("the metric").parse().expect("a number")
    }

    /// Checks that everything is given back, and that requests are answered as ever.
    async fn recovers(&self) {
        eventually("all bytes are given back", async || {
            (self.inflight().await == 0).then_some(())
        })
        .await;
        self.ask("/discriminate", &json!({"text": "the fox"})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_bodies_of_many_connections_are_bounded() {
    let server = limited(4).await;
    let mut unfinished = JoinSet::new();
    for _ in 0..8 {
        unfinished.spawn(unfinished_body(server.address));
    }
    // One client may hold three of the four mebibytes: three times 900 kB fit, in buffers of at most a mebibyte. Two that
    // reach the bound at once may both be refused.
    for _ in 0..5 {
        let answer = unfinished.join_next().await.expect("one").expect("an end");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains(r#""code":"overloaded""#), "{answer}");
        assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    }
    let held = server.inflight().await;
    assert!((MEBIBYTE..=3 * MEBIBYTE).contains(&held), "{held}");
    // Others still get something.
    let answer = asked_from([127, 0, 0, 2], server.address).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    unfinished.abort_all();
    while unfinished.join_next().await.is_some() {}
    server.recovers().await;
}

/// The answer to a short request from another address of this machine.
async fn asked_from(client: [u8; 4], address: SocketAddr) -> String {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((client, 0).into()).expect("a local address");
    let mut stream = socket.connect(address).await.expect("a connection");
    let body = json!({"text": "the fox"}).to_string();
    let request = format!(
        "POST /discriminate HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

/// Sends most of a body, and reads the answer.
async fn unfinished_body(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = "POST /discriminate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                content-length: 1000000\r\n\r\n{\"text\": \"";
    let mut sent = head.as_bytes().to_vec();
    sent.resize(900_000, b'a');
    let (mut reader, mut writer) = stream.split();
    // The server may answer and close before it has read all.
    let _ = writer.write_all(&sent).await;
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !answer.windows(10).any(|found| found == b"overloaded") {
        match reader.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

type SentBody = StreamBody<
    tokio_stream::adapters::Map<
        ReceiverStream<Vec<u8>>,
        fn(Vec<u8>) -> Result<Frame<Bytes>, std::convert::Infallible>,
    >,
>;

/// One HTTP/2 connection. Its client takes `window` bytes of an answer that it does not read.
async fn http2(address: SocketAddr, window: u32) -> (SendRequest<SentBody>, JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    let connection = tokio::spawn(async move { drop(connection.await) });
    (sender, connection)
}

/// Sends a request with this much of its body. The body ends when the sender is dropped.
async fn begin(
    sender: &mut SendRequest<SentBody>,
    path: &str,
    media_type: &str,
    body: Vec<u8>,
) -> (
    mpsc::Sender<Vec<u8>>,
    impl Future<Output = hyper::Result<Response<Incoming>>> + use<>,
) {
    let (parts, sent) = mpsc::channel(1);
    parts.send(body).await.expect("an open channel");
    let frame: fn(Vec<u8>) -> _ = |part| Ok(Frame::data(Bytes::from(part)));
    let request = Request::post(format!("http://a{path}"))
        .header("content-type", media_type)
        .body(StreamBody::new(ReceiverStream::new(sent).map(frame)))
        .expect("a request");
    sender.ready().await.expect("an open connection");
    (parts, sender.send_request(request))
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_bodies_of_one_connection_are_bounded_in_both_protocols() {
    let server = limited(4).await;
    let json = b"{\"text\": \"".to_vec();
    let message = [&[0][..], &1_000_000_u32.to_be_bytes()].concat();
    let grpc = server.grpc.expect("gRPC is on");
    for (address, path, media_type, mut body) in [
        (server.address, "/discriminate", "application/json", json),
        (
            grpc,
            "/electra.v1.Electra/Discriminate",
            "application/grpc",
            message,
        ),
    ] {
        body.resize(900_000, b'a');
        let (mut sender, connection) = http2(address, 65_535).await;
        let mut unfinished = Vec::new();
        let mut answers = JoinSet::new();
        for _ in 0..40 {
            let (body, answer) = begin(&mut sender, path, media_type, body.clone()).await;
            unfinished.push(body);
            answers.spawn(answer);
        }
        // Of 40 at most four fit.
        for _ in 0..36 {
            let answer = answers.join_next().await.expect("one").expect("an end");
            let answer = answer.expect("an answer");
            let headers = answer.headers();
            let code = headers
                .get("error-code")
                .map(hyper::header::HeaderValue::as_bytes);
            let is_refused = answer.status() == 503 || code == Some(b"overloaded");
            assert!(is_refused, "{path}: {answer:?}");
        }
        let held = server.inflight().await;
        assert!(held <= 4 * MEBIBYTE, "{path}: {held}");
        drop((unfinished, answers, sender));
        connection.abort();
        server.recovers().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_read_are_bounded() {
    let server = limited(2).await;
    let text = json!({"text": "the old fox ".repeat(800)}).to_string();
    let (mut sender, connection) = http2(server.address, 1000).await;
    let mut unread = Vec::new();
    let refused = loop {
        let body = text.clone().into_bytes();
        let (body, answer) = begin(&mut sender, "/discriminate", "application/json", body).await;
        drop(body);
        let answer = answer.await.expect("an answer");
        if answer.status() != 200 {
            break answer;
        }
        unread.push(answer);
        assert!(unread.len() < 100, "the budget bounds them");
    };
    assert_eq!(refused.status(), 503);
    assert!(unread.len() >= 3, "{}", unread.len());
    let held = server.inflight().await;
    assert!((MEBIBYTE / 2..=2 * MEBIBYTE).contains(&held), "{held}");
    drop((unread, refused, sender));
    connection.abort();
    server.recovers().await;
}
