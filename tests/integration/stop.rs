//! How the program stops: what ends at once, what is answered first, and with which exit code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use electra_server::grpc::proto::electra::TagRequest;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::harness::{ServerProcess, default_models, eventually, repository, whole_answer};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const BODY: &str = r#"{"text": "The fox jumps."}"#;

/// More than a stop takes on a busy machine, and less than any timeout of these tests.
const AT_ONCE: Duration = Duration::from_secs(15);

/// A time that no test waits for.
const NEVER_MS: &str = "600000";

/// A connection that carries one request of HTTP/1.1 at a time.
struct Http1(TcpStream);

impl Http1 {
    async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        TcpStream::connect(address).await.map(Self)
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it is read");
    }

    /// Asks for a path, or posts a text to `/tag`. Returns the head of the answer, if there is a whole one.
    async fn ask(&mut self, path: &str) -> std::io::Result<String> {
        let request = if path == "/tag" {
            format!("{}{BODY}", head(BODY.len()))
        } else {
            format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
        };
        self.0.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        loop {
            if self.0.read_buf(&mut bytes).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((head, _)) = whole_answer(&bytes) {
                return Ok(head);
            }
        }
    }
}

/// The head of a request to `/tag`.
fn head(length: usize) -> String {
    format!(
        "POST /tag HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}

async fn tag(channel: &Channel) {
    let request = TagRequest {
        text: vec!["The fox jumps.".to_owned()],
        ..TagRequest::default()
    };
    let mut client = ElectraClient::new(channel.clone());
    let answer = client.tag(request).await.expect("an answer");
    assert_eq!(answer.into_inner().results.len(), 1);
}

async fn watch(channel: &Channel) -> tonic::Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(channel.clone());
    let watch = client.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.expect("a watch").into_inner();
    assert_eq!(status(&mut watch).await, ServingStatus::Serving);
    watch
}

async fn status(watch: &mut tonic::Streaming<HealthCheckResponse>) -> ServingStatus {
    let message = watch.message().await.expect("no error");
    message.expect("a status").status()
}

/// A server of one small model.
fn start(arguments: &[&str]) -> (tempfile::TempDir, ServerProcess) {
    let models = repository(&["token-cased"]);
    let server = ServerProcess::start(models.path(), arguments);
    (models, server)
}

/// Whether a server refuses connections.
async fn is_closed(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_request_do_not_hold_up_a_stop() {
    let (_models, mut server) = start(&["--drain-timeout-ms", NEVER_MS]);
    let mut open = Vec::new();
    for (address, begin) in [
        (server.address, &b""[..]),
        (server.grpc, b""),
        (server.address, &PREFACE[..8]),
        (server.grpc, &PREFACE[..8]),
        (server.grpc, PREFACE),
        (server.address, b"GET / HT"),
        (
            server.address,
            b"POST /tag HTTP/1.1\r\nhost: a\r\ncontent-le",
        ),
    ] {
        let mut connection = Http1::connect(address).await.expect("a connection");
        connection.send(begin).await;
        open.push(connection);
    }
    let mut idle = Http1::connect(server.address).await.expect("a connection");
    idle.ask("/tag").await.expect("an answer");
    let (used, unused) = (channel(server.grpc).await, channel(server.grpc).await);
    tag(&used).await;
    let over_http = channel(server.address).await;
    let _ = HealthClient::new(over_http.clone())
        .check(HealthCheckRequest::default())
        .await;
    let watched = channel(server.grpc).await;
    let mut watch = watch(&watched).await;

    let start = Instant::now();
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    let took = start.elapsed();
    println!("the stop took {took:?}");
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(status(&mut watch).await, ServingStatus::NotServing);
    drop((open, idle, used, unused, over_http));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_headers_have_come_is_answered() {
    let (_models, mut server) = start(&["--drain-timeout-ms", NEVER_MS]);
    let mut half = Http1::connect(server.address).await.expect("a connection");
    half.send(format!("{}{}", head(BODY.len()), &BODY[..5]).as_bytes())
        .await;
    server.terminate();
    eventually("the listener closes", async || {
        is_closed(server.address).await.then_some(())
    })
    .await;
    half.send(&BODY.as_bytes()[5..]).await;
    let answer = half.answer().await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(server.exit_code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_stop_is_not_ready_at_once_and_answers_requests() {
    let (_models, mut server) = start(&["--shutdown-delay-ms", NEVER_MS]);
    let mut idle = Http1::connect(server.address).await.expect("a connection");
    idle.ask("/tag").await.expect("an answer");
    let client = channel(server.grpc).await;
    tag(&client).await;
    let watched = channel(server.grpc).await;
    let mut watch = watch(&watched).await;
    server.terminate();
    assert_eq!(status(&mut watch).await, ServingStatus::NotServing);
    for (path, expected) in [
        ("/health/ready", "503"),
        ("/v2/health/ready", "503"),
        ("/v2/models/token-cased/ready", "503"),
        ("/health/live", "200"),
        ("/tag", "200"),
    ] {
        let connection = Http1::connect(server.address).await;
        let answer = connection.expect("a connection").ask(path).await;
        let answer = answer.expect("an answer");
        let start = format!("HTTP/1.1 {expected} ");
        assert!(answer.starts_with(&start), "{path}: {answer}");
        assert!(answer.contains("connection: close"), "{path}: {answer}");
    }
    let answer = idle.ask("/tag").await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let mut rest = Vec::new();
    idle.0.read_to_end(&mut rest).await.expect("an end");
    assert!(rest.is_empty());
    // Each connection ends after its first call. A channel of tonic's may give a connection that just ends to a call, and
    // does not repeat that on another one.
    drop(client);
    for _ in 0..3 {
        tag(&channel(server.grpc).await).await;
    }
    let health = HealthClient::new(channel(server.grpc).await)
        .check(HealthCheckRequest::default())
        .await
        .expect("an answer");
    assert_eq!(health.into_inner().status(), ServingStatus::NotServing);
    // Everything is answered, so the second one does not fail.
    let start = Instant::now();
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_program_and_tells_of_unanswered_requests() {
    for delay in ["0", NEVER_MS] {
        let arguments = ["--shutdown-delay-ms", delay, "--drain-timeout-ms", NEVER_MS];
        let (_models, mut server) = start(&arguments);
        let mut half = Http1::connect(server.address).await.expect("a connection");
        half.send(format!("{}{{", head(BODY.len())).as_bytes())
            .await;
        let client = channel(server.grpc).await;
        let mut watch = watch(&client).await;
        server.terminate();
        assert_eq!(status(&mut watch).await, ServingStatus::NotServing);
        let start = Instant::now();
        server.terminate();
        assert_eq!(server.exit_code(), Some(1), "after a delay of {delay} ms");
        // Before the body is overdue.
        assert!(
            start.elapsed() < Duration::from_secs(9),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_a_closed_loop_lose_no_request_to_a_delayed_stop() {
    let (_models, mut server) = start(&["--shutdown-delay-ms", "700"]);
    let address = server.address;
    let stopping = Arc::new(AtomicBool::new(false));
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (stopping, counts) = (Arc::clone(&stopping), Arc::clone(&counts));
            tokio::spawn(async move {
                // Until connections are refused.
                while let Ok(mut connection) = Http1::connect(address).await {
                    loop {
                        let answer = connection.ask("/tag").await.expect("an answer");
                        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
                        counts[usize::from(stopping.load(Ordering::Relaxed))]
                            .fetch_add(1, Ordering::Relaxed);
                        if answer.contains("connection: close") {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    eventually("requests are answered", async || {
        (counts[0].load(Ordering::Relaxed) > 100).then_some(())
    })
    .await;
    server.terminate();
    stopping.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no request is lost");
    }
    assert_eq!(server.exit_code(), Some(0));
    println!("{counts:?} requests were answered before and after the signal");
    assert!(counts[1].load(Ordering::Relaxed) > 0);
}

#[test]
fn a_signal_while_models_load_ends_the_program() {
    let mut server = ServerProcess::start_unready(&default_models(), &[]);
    let start = Instant::now();
    server.terminate();
    assert_eq!(server.exit_code(), Some(0));
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
}
