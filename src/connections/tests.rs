//! Tests of connections over real sockets, by a clock that the tests move.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};
use tower::service_fn;

use super::*;
use crate::client::Sender;
use crate::stage::Stage;
use crate::telemetry::metrics::Metrics;
use crate::testing::{HeldClock, eventually, soon};

mod tls;

const SECOND: Duration = Duration::from_secs(1);

/// How long the body at `/slow` takes.
const SLOW: Duration = Duration::from_mins(20);

/// The length of the body at `/large`, more than sockets hold.
const LARGE: usize = 16 << 20;

struct Served {
    address: SocketAddr,
    metrics: Metrics,
    /// Has a clone in each body at `/large`.
    held: Arc<()>,
    stage: watch::Sender<Stage>,
    ended: JoinHandle<()>,
}

impl Served {
    async fn start(protocol: Protocol, options: ConnectionOptions) -> Self {
        Self::start_with(protocol, |metrics| Connections::new(options, metrics)).await
    }

    async fn start_with(
        protocol: Protocol,
        connections: impl FnOnce(Metrics) -> Connections,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Metrics::new("1.2.3");
        let connections = connections(metrics.clone());
        let (stage, stages) = watch::channel(Stage::default());
        let held = Arc::new(());
        let holding = Arc::clone(&held);
        let service = service_fn(move |request: Request<RequestBody>| {
            let answer = answer(&request, &holding);
            async {
                if request.uri().path() == "/upload" {
                    let _ = request.into_body().collect().await;
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let ended = tokio::spawn(serve(listener, protocol, connections, service, stages));
        let served = Self {
            address,
            metrics,
            held,
            stage,
            ended,
        };
        eventually("it listens", async || served.open().is_some()).await;
        served
    }

    async fn usual(protocol: Protocol) -> Self {
        Self::start(protocol, ConnectionOptions::default()).await
    }

    async fn with_proxies(proxies: &str) -> Self {
        let options = ConnectionOptions {
            trusted_proxies: proxies.parse().unwrap(),
            ..ConnectionOptions::default()
        };
        Self::start(Protocol::Any, options).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Connects from another address of this machine.
    async fn connect_from(&self, source: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Whether a new connection from this address is for health checks alone.
    async fn is_reserved(&self, source: [u8; 4]) -> (TcpStream, bool) {
        let mut stream = self.connect_from(source).await;
        let reserved = ask(&mut stream, "/reserved", "").await;
        (stream, reserved == "true")
    }

    /// Connects, and waits until the server has accepted.
    async fn accepted(&self) -> TcpStream {
        let before = self.open();
        let stream = self.connect().await;
        eventually("it is accepted", async || self.open() != before).await;
        stream
    }

    /// The metric of open connections, once the server listens.
    fn open(&self) -> Option<String> {
        let exposition = self.metrics.encode().unwrap();
        let mut lines = exposition.lines();
        lines
            .find(|line| line.starts_with("electra_connections{"))
            .map(str::to_owned)
    }

    /// Whether `/metrics` would have this line.
    fn counts(&self, line: &str) -> bool {
        let exposition = self.metrics.encode().unwrap();
        exposition.lines().any(|candidate| candidate == line)
    }

    fn counts_closed(&self, reason: &str, connections: usize) -> bool {
        let name = "electra_connections_closed_total";
        self.counts(&format!("{name}{{reason=\"{reason}\"}} {connections}"))
    }

    async fn until_nothing_is_held(&self) {
        let open = "electra_connections{protocol=\"http\"} 0";
        // One clone is here, one in the service.
        eventually("connection and response are gone", async || {
            self.counts(open) && Arc::strong_count(&self.held) <= 2
        })
        .await;
    }

    /// Moves the clock until a connection was closed for this reason, and returns the seconds it took.
    async fn seconds_until_closed(&self, reason: &str) -> u64 {
        let start = Instant::now();
        let what = format!("a connection is closed: {reason}");
        eventually(&what, async || {
            advance(SECOND).await;
            assert!(start.elapsed() < 1000 * SECOND, "{what}");
            self.counts_closed(reason, 1)
        })
        .await;
        start.elapsed().as_secs()
    }
}

fn answer(request: &Request<RequestBody>, held: &Arc<()>) -> Response<BoxBody<Bytes, Infallible>> {
    let text = |text: String| Full::from(text).boxed();
    Response::new(match request.uri().path() {
        "/large" => {
            let held = Arc::clone(held);
            let keep = move |never| {
                let _ = &held;
                never
            };
            Full::from(vec![b'a'; LARGE]).map_err(keep).boxed()
        }
        "/slow" => {
            let (sender, receiver) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                for part in ["begin", "end"] {
                    let _ = sender.send(Ok(Frame::data(part.into()))).await;
                    sleep(SLOW).await;
                }
            });
            let parts = tokio_stream::wrappers::ReceiverStream::new(receiver);
            StreamBody::new(parts).boxed()
        }
        "/client" => text(format!(
            "{:?}",
            request
                .extensions()
                .get::<Sender>()
                .map(|sender| sender.client)
        )),
        "/reserved" => text(
            request
                .extensions()
                .get::<HealthOnly>()
                .is_some()
                .to_string(),
        ),
        _ => text(String::new()),
    })
}

/// An HTTP/2 client. The windows are as small as they can be, so that a body that is not read is not sent.
async fn http2_client(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> (
    http2::SendRequest<Empty<Bytes>>,
    JoinHandle<hyper::Result<()>>,
) {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1);
    let (client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    (client, tokio::spawn(connection))
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    let uri = format!("http://host{path}");
    Request::get(uri).body(Empty::new()).unwrap()
}

/// Sends a request by HTTP/1 on an open connection, and returns its answer's body.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    path: &str,
    headers: &str,
) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    answered(stream).await
}

/// Reads an answer by HTTP/1, and returns its body.
async fn answered(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        assert_ne!(
            soon("an answer", stream.read_buf(&mut bytes))
                .await
                .unwrap(),
            0
        );
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.split_once("content-length: ").unwrap().1;
            let length = length.lines().next().unwrap().parse::<usize>().unwrap();
            break (head.len() + 4, length);
        }
    };
    while bytes.len() < head + length {
        assert_ne!(
            soon("a body", stream.read_buf(&mut bytes)).await.unwrap(),
            0
        );
    }
    String::from_utf8(bytes.split_off(head)).unwrap()
}

/// Reads until the server closes.
async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = soon("the server closes", stream.read_to_end(&mut rest)).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_request_that_does_not_come_whole_is_waited_for_75_seconds() {
    let preface = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..];
    let settings = [preface, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    for protocol in [Protocol::Any, Protocol::Http2] {
        for begin in [
            b"",
            &preface[..1],
            &preface[..8],
            &settings,
            b"GET / HTT",
            b"GET / HTTP/1.1\r\nhost:",
        ] {
            if protocol == Protocol::Http2 && begin.starts_with(b"GET") {
                continue;
            }
            let served = Served::usual(protocol).await;
            let clock = HeldClock::new();
            let mut stream = served.accepted().await;
            stream.write_all(begin).await.unwrap();
            drop(clock);
            let seconds = served.seconds_until_closed("first_request").await;
            assert!((75..75 + 7).contains(&seconds), "{seconds}");
            let end = async {
                let clock = async {
                    loop {
                        advance(SECOND).await;
                    }
                };
                tokio::select! {
                    () = read_to_end(&mut stream) => {}
                    () = clock => {}
                }
            };
            let start = Instant::now();
            end.await;
            assert!(start.elapsed() <= 10 * SECOND, "{:?}", start.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_further_requests_is_closed() {
    let clock = HeldClock::new();
    let served = Served::usual(Protocol::Any).await;
    let mut stream = served.connect().await;
    assert_eq!(ask(&mut stream, "/", "").await, "");
    // The beginning of another request is none.
    stream.write_all(b"GET / HTTP").await.unwrap();
    let seconds = served.seconds_until_closed("idle").await;
    assert!((75..75 + 7).contains(&seconds), "{seconds}");

    let served = Served::usual(Protocol::Http2).await;
    let (mut client, connection) = http2_client(served.connect().await).await;
    client.send_request(get("/")).await.unwrap();
    // The client answers pings all the time.
    let seconds = served.seconds_until_closed("idle").await;
    assert!((300..300 + 7).contains(&seconds), "{seconds}");
    soon("the client is told", connection)
        .await
        .unwrap()
        .unwrap();
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_is_drained_and_the_connection_serves_on() {
    let clock = HeldClock::new();
    let served = Served::usual(Protocol::Any).await;
    let mut stream = served.connect().await;
    for _ in 0..2 {
        // All of it is written before anything is read.
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {LARGE}\r\n\r\n");
        let request = [head.as_bytes(), &vec![b'a'; LARGE]].concat();
        soon("it is read", stream.write_all(&request))
            .await
            .unwrap();
        assert_eq!(answered(&mut stream).await, "");
        assert_eq!(ask(&mut stream, "/reserved", "").await, "false");
    }
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_is_waited_for_5_seconds_and_30_in_all() {
    for (is_trickling, expected) in [(false, 5), (true, 30)] {
        let clock = HeldClock::new();
        let served = Served::usual(Protocol::Any).await;
        let mut stream = served.connect().await;
        // Each byte is sent at once, by the system's clock too.
        stream.set_nodelay(true).unwrap();
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\na";
        stream.write_all(head).await.unwrap();
        // The answer does not wait for the body.
        assert_eq!(answered(&mut stream).await, "");
        let mut other = served.connect().await;
        let start = Instant::now();
        eventually("the connection is closed", async || {
            advance(SECOND).await;
            assert!(start.elapsed() < 1000 * SECOND);
            if is_trickling {
                let _ = stream.write_all(b"a").await;
            }
            // The server has seen the byte before it answers this.
            ask(&mut other, "/", "").await;
            match stream.try_read(&mut [0]) {
                Ok(read) => read == 0,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            }
        })
        .await;
        let seconds = start.elapsed().as_secs();
        assert!((expected..expected + 4).contains(&seconds), "{seconds}");
        drop(clock);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_the_end_of_a_body_is_followed_by_no_reset_over_http2() {
    const RESET: u8 = 3;
    let clock = HeldClock::new();
    let served = Served::usual(Protocol::Any).await;
    let mut stream = served.accepted().await;
    // A request whose body is to follow, and another one.
    let head = |number: u8, flags: u8| {
        let frame = [0, 0, 3, 1, flags, 0, 0, 0, number];
        [&frame[..], b"\x82\x84\x86"].concat()
    };
    stream
        .write_all(&[BEGIN_HTTP2, &head(1, 4)].concat())
        .await
        .unwrap();
    let mut received = Vec::new();
    let mut ends = async |number: u8| {
        let is_end = |frame: &(u8, u8, u8)| frame.2 == number && frame.0 <= 1 && frame.1 & 1 == 1;
        while !frames(&received).iter().any(is_end) {
            let mut bytes = [0; 256];
            let read = soon("frames", stream.read(&mut bytes)).await.unwrap();
            received.extend_from_slice(&bytes[..read]);
        }
        stream.write_all(&head(number + 2, 5)).await.unwrap();
    };
    for number in [1, 3] {
        ends(number).await;
    }
    let found = frames(&received);
    assert!(found.iter().all(|(kind, ..)| *kind != RESET), "{found:?}");
    drop(clock);
}

/// The type, flags and stream of each whole HTTP/2 frame.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u8)> {
    let mut found = Vec::new();
    while let [high, middle, low, kind, flags, _, _, _, stream, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        let Some(next) = rest.get(length..) else {
            break;
        };
        found.push((*kind, *flags, *stream));
        bytes = next;
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_client_is_not_asked_for_a_body_that_nobody_reads() {
    let clock = HeldClock::new();
    let served = Served::usual(Protocol::Any).await;
    let mut stream = served.connect().await;
    let head = b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = String::new();
    let read = soon("the server closes", stream.read_to_string(&mut answer)).await;
    read.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_the_peer_does_not_take_ends_its_connection() {
    let clock = HeldClock::new();
    let served = Served::usual(Protocol::Any).await;
    let mut stream = served.connect().await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).await.unwrap();
    let seconds = served.seconds_until_closed("stalled").await;
    assert!((30..30 + 7).contains(&seconds), "{seconds}");
    served.until_nothing_is_held().await;

    let served = Served::usual(Protocol::Any).await;
    let (mut client, _connection) = http2_client(served.connect().await).await;
    let response = client.send_request(get("/large")).await.unwrap();
    // One stream that is taken does not excuse another one.
    let seconds = served.seconds_until_closed("stalled");
    let others = async {
        loop {
            let other = client.send_request(get("/")).await;
            if other.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let seconds = tokio::select! {
        seconds = seconds => seconds,
        () = others => unreachable!(),
    };
    assert!((30..30 + 7).contains(&seconds), "{seconds}");
    served.until_nothing_is_held().await;
    drop((clock, response));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_the_server_makes_slowly_is_not_its_peers_fault() {
    let clock = HeldClock::new();
    for protocol in [Protocol::Any, Protocol::Http2] {
        let served = Served::usual(protocol).await;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(1 << 10);
        let (mut client, connection) = builder
            .handshake(TokioIo::new(served.connect().await))
            .await
            .unwrap();
        tokio::spawn(connection);
        let response = client.send_request(get("/slow")).await.unwrap();
        let body = tokio::spawn(response.into_body().collect());
        let start = Instant::now();
        eventually("the body ends", async || {
            advance(SECOND).await;
            body.is_finished()
        })
        .await;
        assert!(start.elapsed() >= SLOW);
        assert_eq!(body.await.unwrap().unwrap().to_bytes(), "beginend");
    }
    let served = Served::usual(Protocol::Any).await;
    let mut stream = served.connect().await;
    let request = b"GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let answer = tokio::spawn(async move {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    });
    eventually("the body ends", async || {
        advance(SECOND).await;
        answer.is_finished()
    })
    .await;
    let answer = answer.await.unwrap().unwrap();
    assert!(
        answer.ends_with("0\r\n\r\n") && answer.contains("end"),
        "{answer}"
    );
    drop(clock);
}

#[tokio::test]
async fn a_large_response_arrives_whole_in_both_protocols() {
    let served = Served::usual(Protocol::Any).await;
    let mut stream = served.connect().await;
    for _ in 0..2 {
        assert_eq!(ask(&mut stream, "/large", "").await.len(), LARGE);
    }
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(served.connect().await));
    let (mut client, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let response = client.send_request(get("/large")).await.unwrap();
    assert_eq!(response.headers()["content-length"], LARGE.to_string());
    let body = soon("the body", response.into_body().collect())
        .await
        .unwrap();
    assert_eq!(body.to_bytes().len(), LARGE);
}

#[tokio::test]
async fn beyond_the_maximum_a_few_connections_are_reserved_and_older_ones_closed() {
    let options = ConnectionOptions {
        max_connections: NonZeroUsize::MIN,
        ..ConnectionOptions::default()
    };
    let served = Served::start(Protocol::Any, options).await;
    let mut usual = served.connect().await;
    assert_eq!(ask(&mut usual, "/reserved", "").await, "false");
    let mut reserved = Vec::new();
    for _ in 0..16 {
        let mut stream = served.connect().await;
        assert_eq!(ask(&mut stream, "/reserved", "").await, "true");
        reserved.push(stream);
    }
    // Each further one takes the place of the oldest.
    let mut beyond = served.connect().await;
    assert_eq!(ask(&mut beyond, "/reserved", "").await, "true");
    read_to_end(&mut reserved.remove(0)).await;
    assert!(served.counts_closed("over_maximum", 1));
    let newest = reserved.last_mut().unwrap();
    assert_eq!(ask(newest, "/reserved", "").await, "true");
    // One that ends makes room.
    drop(usual);
    eventually("there is room", async || {
        let mut stream = served.connect().await;
        let request = b"GET /reserved HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer.ends_with(b"false")
    })
    .await;
}

/// The addresses of clients, all of which are this machine's on Linux.
#[cfg(target_os = "linux")]
const ADDRESSES: [[u8; 4]; 3] = [[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 4]];

fn at_most(connections: usize) -> ConnectionOptions {
    ConnectionOptions {
        max_connections: NonZeroUsize::new(connections).unwrap(),
        ..ConnectionOptions::default()
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_holds_the_most_connections_gives_way_to_a_newcomer() {
    let served = Served::start(Protocol::Any, at_most(4)).await;
    let mut busy = served.accepted().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    busy.read_exact(&mut [0]).await.unwrap();
    let mut idle = served.connect().await;
    ask(&mut idle, "/", "").await;
    let mut half = served.accepted().await;
    half.write_all(b"GET / HTTP/1.1\r\nhos").await.unwrap();
    let mut silent = served.accepted().await;
    let mut newcomers = Vec::new();
    for old in [&mut idle, &mut half] {
        let (newcomer, reserved) = served.is_reserved(ADDRESSES[0]).await;
        assert!(!reserved);
        read_to_end(old).await;
        newcomers.push(newcomer);
        assert!(served.counts_closed("displaced", newcomers.len()));
    }
    // Both hold two, so neither gives way to the other.
    for address in [[127, 0, 0, 1], ADDRESSES[0]] {
        let (_, reserved) = served.is_reserved(address).await;
        assert!(reserved, "{address:?}");
    }
    // Each gives way to others, and keeps one.
    for address in &ADDRESSES[1..] {
        let (newcomer, reserved) = served.is_reserved(*address).await;
        assert!(!reserved, "{address:?}");
        newcomers.push(newcomer);
    }
    read_to_end(&mut newcomers.remove(0)).await;
    read_to_end(&mut silent).await;
    for newcomer in &mut newcomers {
        assert_eq!(ask(newcomer, "/reserved", "").await, "false");
    }
    let (mut stays, reserved) = served.is_reserved([127, 0, 0, 5]).await;
    assert!(reserved);
    // One that was reserved stays so, also if there is room again.
    drop(newcomers);
    eventually("the others are gone", async || {
        served.counts("electra_connections{protocol=\"http\"} 2")
    })
    .await;
    let (_, reserved) = served.is_reserved([127, 0, 0, 5]).await;
    assert!(!reserved);
    assert_eq!(ask(&mut stays, "/reserved", "").await, "true");
    assert!(served.counts_closed("displaced", 4));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_http2_connection_that_gives_way_says_so() {
    let served = Served::start(Protocol::Any, at_most(2)).await;
    let (mut client, connection) = http2_client(served.connect().await).await;
    client.send_request(get("/")).await.unwrap();
    let _other = served.accepted().await;
    let (_newcomer, reserved) = served.is_reserved(ADDRESSES[0]).await;
    assert!(!reserved);
    let ended = soon("the client is told", connection).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_their_client_give_way_and_not_those_of_a_proxy() {
    let upload = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf";
    let untaken = "GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
    for (proxies, gives_way) in [("none", true), ("127.0.0.1", false)] {
        let clock = HeldClock::new();
        let options = ConnectionOptions {
            trusted_proxies: proxies.parse().unwrap(),
            ..at_most(2)
        };
        let served = Served::start(Protocol::Any, options).await;
        let mut old = Vec::new();
        for request in [upload, untaken] {
            let mut stream = served.accepted().await;
            stream.write_all(request.as_bytes()).await.unwrap();
            old.push(stream);
        }
        old[1].read_exact(&mut [0]).await.unwrap();
        let (_early, reserved) = served.is_reserved(ADDRESSES[0]).await;
        assert!(reserved, "it may be on its way");
        advance(SECOND).await;
        let (_newcomer, reserved) = served.is_reserved(ADDRESSES[0]).await;
        assert_eq!(reserved, !gives_way, "{proxies}");
        if gives_way {
            read_to_end(&mut old[0]).await;
        }
        assert!(served.counts_closed("displaced", usize::from(gives_way)));
        drop(clock);
    }
}

#[tokio::test]
async fn behind_a_proxy_connections_count_for_the_client_that_it_tells() {
    let header = |client: u8| {
        let start = &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..];
        [start, &[192, 0, 2, client, 127, 0, 0, 1, 0, 1, 0, 2]].concat()
    };
    let options = ConnectionOptions {
        trusted_proxies: "127.0.0.1".parse().unwrap(),
        ..at_most(3)
    };
    let served = Served::start(Protocol::Any, options).await;
    let mut open = Vec::new();
    // All of one client, then one of another, then the first again, and the proxy itself.
    for (client, expected) in [
        (Some(1), "false"),
        (Some(1), "false"),
        (Some(1), "false"),
        (Some(1), "true"),
        (Some(2), "false"),
        (Some(2), "true"),
        (None, "false"),
        (None, "true"),
    ] {
        let mut stream = served.connect().await;
        if let Some(client) = client {
            stream.write_all(&header(client)).await.unwrap();
        }
        let reserved = ask(&mut stream, "/reserved", "").await;
        assert_eq!(reserved, expected, "{client:?}");
        open.push(stream);
    }
    read_to_end(&mut open[0]).await;
    read_to_end(&mut open[1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_reserved_connection_is_soon_free_again() {
    let clock = HeldClock::new();
    let options = ConnectionOptions {
        max_connections: NonZeroUsize::MIN,
        ..ConnectionOptions::default()
    };
    let served = Served::start(Protocol::Any, options).await;
    let mut usual = served.accepted().await;
    assert_eq!(ask(&mut usual, "/reserved", "").await, "false");
    let _silent = served.accepted().await;
    let seconds = served.seconds_until_closed("first_request").await;
    assert!((2..2 + 7).contains(&seconds), "{seconds}");
    // However long the answer takes.
    let mut watches = served.accepted().await;
    watches
        .write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let seconds = served.seconds_until_closed("reserved").await;
    assert!((10..10 + 7).contains(&seconds), "{seconds}");
    drop(clock);
}

#[tokio::test]
async fn only_a_trusted_proxy_tells_the_client() {
    let forwarded = "x-forwarded-for: 192.0.2.1, 127.0.0.2\r\n";
    let peer = "Some(V4(127.0.0.1))";
    for (proxies, headers, expected) in [
        ("none", forwarded, peer),
        ("10.0.0.0/8", forwarded, peer),
        ("127.0.0.0/8", forwarded, "Some(V4(192.0.2.1))"),
        (
            "127.0.0.0/8",
            "forwarded: for=192.0.2.2\r\n",
            "Some(V4(192.0.2.2))",
        ),
        ("127.0.0.0/8", "forwarded: for=unknown\r\n", peer),
        ("127.0.0.0/8", "", peer),
    ] {
        let served = Served::with_proxies(proxies).await;
        let mut stream = served.connect().await;
        let client = ask(&mut stream, "/client", headers).await;
        assert_eq!(client, expected, "{proxies} {headers}");
    }
}

#[tokio::test]
async fn the_proxy_protocol_is_taken_from_trusted_proxies_alone() {
    let header = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
        &[192, 0, 2, 1, 127, 0, 0, 1, 0, 1, 0, 2],
    ]
    .concat();
    let served = Served::with_proxies("127.0.0.1").await;
    let mut stream = served.connect().await;
    stream.write_all(&header).await.unwrap();
    // The client that the header tells is no proxy, so what it says about itself is not believed.
    for headers in ["", "x-forwarded-for: 192.0.2.9\r\n"] {
        let client = ask(&mut stream, "/client", headers).await;
        assert_eq!(client, "Some(V4(192.0.2.1))");
    }
    let served = Served::usual(Protocol::Any).await;
    let mut stream = served.connect().await;
    stream.write_all(&header).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon("an end", stream.read_to_end(&mut answer)).await;
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_sends_half_a_header_is_waited_for_75_seconds() {
    let clock = HeldClock::new();
    let served = Served::with_proxies("127.0.0.1").await;
    let mut stream = served.accepted().await;
    stream.write_all(b"\r\n\r\n\0\r\nQUIT\n\x21").await.unwrap();
    let seconds = served.seconds_until_closed("first_request").await;
    assert!((75..75 + 7).contains(&seconds), "{seconds}");
    read_to_end(&mut stream).await;
    drop(clock);
}

/// The beginning of an HTTP/2 connection: the preface, and empty settings.
const BEGIN_HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test(start_paused = true)]
async fn connections_without_a_request_end_at_once_when_the_server_drains() {
    let clock = HeldClock::new();
    for protocol in [Protocol::Any, Protocol::Http2] {
        let served = Served::usual(protocol).await;
        let mut open = Vec::new();
        for begin in [b"", &BEGIN_HTTP2[..12], BEGIN_HTTP2] {
            let mut stream = served.accepted().await;
            stream.write_all(begin).await.unwrap();
            open.push(stream);
        }
        if protocol == Protocol::Any {
            for begin in ["GET / HTT", "GET / HTTP/1.1\r\nhost:"] {
                let mut stream = served.accepted().await;
                stream.write_all(begin.as_bytes()).await.unwrap();
                open.push(stream);
            }
            let mut idle = served.accepted().await;
            ask(&mut idle, "/", "").await;
            open.push(idle);
            let mut half = served.accepted().await;
            ask(&mut half, "/", "").await;
            half.write_all(b"GET / HTT").await.unwrap();
            open.push(half);
        }
        // It answers no ping, so it does not take part in a graceful end.
        let mut deaf = served.accepted().await;
        deaf.write_all(&[BEGIN_HTTP2, b"\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86"].concat())
            .await
            .unwrap();
        let mut answer = [0; 9];
        deaf.read_exact(&mut answer).await.unwrap();
        let (mut client, _connection) = http2_client(served.accepted().await).await;
        client.send_request(get("/")).await.unwrap();
        advance(SECOND).await;
        served.stage.send_replace(Stage::Draining);
        // The clock stands still.
        soon("the server ends", served.ended).await.unwrap();
        drop((open, deaf, client));
    }
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_progress_is_answered_before_its_connection_ends() {
    let clock = HeldClock::new();
    let served = Served::usual(Protocol::Any).await;
    let mut http1 = served.accepted().await;
    http1
        .write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0];
    http1.read_exact(&mut first).await.unwrap();
    let (mut client, _connection) = http2_client(served.accepted().await).await;
    let http2 = client.send_request(get("/slow")).await.unwrap();
    for stage in [Stage::Leaving, Stage::Closing, Stage::Draining] {
        served.stage.send_replace(stage);
    }
    let bodies = tokio::spawn(async move {
        let mut bytes = Vec::new();
        let (_, body) = tokio::join!(http1.read_to_end(&mut bytes), http2.into_body().collect(),);
        (bytes, body.unwrap().to_bytes())
    });
    let start = Instant::now();
    eventually("the server ends", async || {
        advance(SECOND).await;
        served.ended.is_finished()
    })
    .await;
    assert!(start.elapsed() >= SLOW, "{:?}", start.elapsed());
    let (bytes, body) = bodies.await.unwrap();
    assert_eq!(body, "beginend");
    assert!(bytes.ends_with(b"3\r\nend\r\n0\r\n\r\n"));
    drop(clock);
}

#[tokio::test]
async fn a_server_that_leaves_answers_one_more_request_of_each_http1_connection() {
    let served = Served::usual(Protocol::Any).await;
    let mut idle = served.connect().await;
    ask(&mut idle, "/", "").await;
    served.stage.send_replace(Stage::Leaving);
    let new = served.connect().await;
    for mut stream in [idle, new] {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        soon("an end", stream.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    served.stage.send_replace(Stage::Draining);
    soon("the server ends", served.ended).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_says_goodbye_over_http2_and_answers_what_is_on_its_way() {
    let clock = HeldClock::new();
    for protocol in [Protocol::Any, Protocol::Http2] {
        let served = Served::usual(protocol).await;
        let (mut used, told) = http2_client(served.accepted().await).await;
        used.send_request(get("/")).await.unwrap();
        let slow = used.send_request(get("/slow")).await.unwrap();
        let (mut unused, untold) = http2_client(served.accepted().await).await;
        // Its first request follows so closely that the client does not know of the stop.
        let mut late = served.accepted().await;
        let request = |stream| {
            let head = b"\0\0\x03\x01\x05\0\0\0";
            [&head[..], &[stream], b"\x82\x84\x86"].concat()
        };
        late.write_all(&[BEGIN_HTTP2, &request(1)].concat())
            .await
            .unwrap();
        let mut answer = [0; 256];
        let _ = late.read(&mut answer).await.unwrap();
        served.stage.send_replace(Stage::Leaving);
        late.write_all(&request(3)).await.unwrap();
        eventually("the second request is answered", async || {
            let read = late.read(&mut answer).await.unwrap();
            answer[..read].windows(9).any(|frame| {
                // The headers of stream 3.
                frame[3] == 1 && frame[5..] == [0, 0, 0, 3]
            })
        })
        .await;
        // Streams go on, and no others begin.
        eventually("the client is told", async || {
            used.ready().await.is_err() || used.send_request(get("/")).await.is_err()
        })
        .await;
        // A connection is told with its first request.
        let response = unused.send_request(get("/")).await.unwrap();
        assert_eq!(response.status(), 200);
        drop(response);
        soon("the connection ends", untold).await.unwrap().unwrap();
        let body = tokio::spawn(slow.into_body().collect());
        eventually("the body ends", async || {
            advance(SECOND).await;
            body.is_finished()
        })
        .await;
        assert_eq!(body.await.unwrap().unwrap().to_bytes(), "beginend");
        soon("the connection ends", told).await.unwrap().unwrap();
        served.stage.send_replace(Stage::Draining);
        soon("the server ends", served.ended).await.unwrap();
    }
    drop(clock);
}

#[tokio::test]
async fn connections_that_nobody_has_accepted_are_served_when_the_server_closes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let streams: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect(address).unwrap())
        .collect();
    let listener = TcpListener::from_std(listener).unwrap();
    let metrics = Metrics::new("1.2.3");
    let connections = Connections::new(ConnectionOptions::default(), metrics);
    let service = service_fn(|request| {
        let answer = answer(&request, &Arc::new(()));
        async { Ok::<_, Infallible>(answer) }
    });
    let (stage, stages) = watch::channel(Stage::Closing);
    let ended = tokio::spawn(serve(listener, Protocol::Any, connections, service, stages));
    for stream in streams {
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(stream).unwrap();
        assert_eq!(ask(&mut stream, "/", "").await, "");
    }
    let refused = std::net::TcpStream::connect(address);
    assert!(refused.is_err(), "{refused:?}");
    stage.send_replace(Stage::Draining);
    soon("the server ends", ended).await.unwrap();
}
