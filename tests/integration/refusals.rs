//! Requests that are refused before their body is read, and those that the HTTP parser refuses: what a client sees that
//! writes everything before it reads.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::harness::{default_server, whole_answer};

/// Clients at a time.
const CLIENTS: usize = 60;

/// Below `max_body_bytes`, and more than sockets hold.
const LARGE: usize = 1_900_000;

/// Longer than any answer here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A connection of HTTP/1.1 whose client writes a whole request before it reads.
struct Writer(TcpStream);

impl Writer {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self(stream)
    }

    /// Sends a request with a body of this length, and returns the answer.
    fn ask(&mut self, request: &str, length: usize) -> String {
        let head = format!("{request}\r\ncontent-length: {length}\r\n\r\n");
        self.0.write_all(head.as_bytes()).expect("the head is read");
        self.0
            .write_all(&vec![b'a'; length])
            .expect("the body is read");
        self.answer()
    }

    /// Reads an answer with a length.
    fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        loop {
            let read = self.0.read(&mut part).expect("an answer");
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&part[..read]);
            if let Some((head, body)) = whole_answer(&bytes) {
                return format!("{head}\r\n\r\n{body}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_before_a_large_body_is_read_are_seen_and_leave_the_connection_usable() {
    let address = default_server().address;
    let json = "host: a\r\ncontent-type: application/json";
    let cases = [
        (format!("POST /nothing HTTP/1.1\r\n{json}"), LARGE, 404),
        (format!("PUT /tag HTTP/1.1\r\n{json}"), LARGE, 405),
        (format!("GET /health/live HTTP/1.1\r\n{json}"), LARGE, 200),
        (format!("POST /tag HTTP/1.1\r\n{json}"), 2 * LARGE, 413),
        ("POST /tag HTTP/1.1\r\nhost: a".to_owned(), LARGE, 415),
        (
            format!("POST /tag HTTP/1.1\r\n{json}\r\norigin: null"),
            LARGE,
            403,
        ),
        (
            format!("POST /tag HTTP/1.1\r\n{json}\r\nx-request-priority: 9"),
            LARGE,
            422,
        ),
    ];
    let case = |index: usize| cases[index % cases.len()].clone();
    let clients = (0..CLIENTS).map(|client| {
        let (request, length, status) = case(client);
        tokio::task::spawn_blocking(move || {
            let mut connection = Writer::connect(address);
            for _ in 0..3 {
                let answer = connection.ask(&request, length);
                let line = format!("HTTP/1.1 {status} ");
                assert!(answer.starts_with(&line), "{request}: {answer}");
                let next = connection.ask("GET /health/live HTTP/1.1\r\nhost: a", 0);
                assert!(next.starts_with("HTTP/1.1 200 "), "{request}: {next}");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("all answers are seen");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_before_a_large_body_is_read_are_seen_over_http2() {
    let address = default_server().address;
    let stream = tokio::net::TcpStream::connect(address).await;
    let stream = TokioIo::new(stream.expect("a connection"));
    let handshake = http2::handshake(TokioExecutor::new(), stream).await;
    let (mut client, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    for _ in 0..20 {
        for (path, status) in [("/nothing", 404), ("/models", 405), ("/tag", 415)] {
            let request = Request::put(format!("http://{address}{path}"));
            let request = if path == "/tag" {
                request.method("POST")
            } else {
                request
            };
            let body = Full::new(Bytes::from(vec![b'a'; LARGE]));
            let request = request.body(body).expect("a request");
            let response = client.send_request(request).await.expect("an answer");
            assert_eq!(response.status(), status, "{path}");
            let body = response.into_body().collect().await.expect("a body");
            assert!(!body.to_bytes().is_empty(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_continue_sends_no_body_that_is_refused() {
    let address = default_server().address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut connection = Writer::connect(address);
        let head =
            "POST /tag HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
        connection.0.write_all(head.as_bytes()).expect("it is read");
        let mut answer = String::new();
        connection
            .0
            .read_to_string(&mut answer)
            .expect("a clean end");
        answer
    });
    let answer = answer.await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_parser_refuses_is_answered_without_a_body() {
    let address = default_server().address;
    // A name may occur more than once.
    let headers = |count: usize| "x-a: a\r\n".repeat(count);
    let long = |length: usize| "a".repeat(length);
    for (bytes, status) in [
        (
            "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        (
            "GET / HTTP/1.1\r\nna me: a\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        (
            "GET /\u{1}\u{2} HTTP/1.1\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        (
            "GET / HTTP/9.9\r\nhost: a\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        (
            "G(T / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        (
            format!("GET /{} HTTP/1.1\r\n\r\n", long(65_535)),
            "431 Request Header Fields Too Large",
        ),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", headers(101)),
            "431 Request Header Fields Too Large",
        ),
        (
            format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", long(70_000)),
            "431 Request Header Fields Too Large",
        ),
    ] {
        let start: String = bytes.chars().take(60).collect();
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = Writer::connect(address).0;
            // The server may close before it has read all.
            let _ = stream.write_all(bytes.as_bytes());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8(answer).expect("text")
        });
        let answer = answer.await.expect("an answer");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{start}: {answer}"
        );
        assert!(
            answer.contains("\r\nconnection: close\r\n"),
            "{start}: {answer}"
        );
        assert!(
            answer.ends_with("\r\n\r\n") && answer.contains("content-length: 0"),
            "{start}: {answer}"
        );
    }
}
