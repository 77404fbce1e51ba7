//! Starting, draining and hanging up over a real socket, with the hand-made model.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::connections::ConnectionOptions;
use crate::service::testing::Fixture;
use crate::testing::eventually;

const BODY: &str = r#"{"text": "fox"}"#;

/// A server over the hand-made model, and the way to stop it.
struct Started {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), RunError>>,
}

async fn start(fixture: &Fixture, drain: Duration) -> Started {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let timeouts = Timeouts {
        drain,
        ..Timeouts::default()
    };
    let running = Running {
        service: fixture.service.clone(),
        metrics: fixture.metrics.clone(),
        timeouts,
        connections: Connections::new(ConnectionOptions::default(), fixture.metrics.clone()),
        inflight: InflightBytes::new(1 << 20),
        scheduler: Arc::clone(&fixture.scheduler),
        stop: watch::Sender::new(false),
    };
    let listeners = Listeners {
        http: listener,
        grpc: None,
    };
    let shutdown = async move { drop(stopped.await) };
    let ended = tokio::spawn(running.serve(listeners, shutdown, std::future::pending()));
    Started {
        address,
        stop,
        ended,
    }
}

async fn ask(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = BODY.len();
    let head = format!(
        "POST /tag HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}"
    );
    stream
        .write_all(format!("{head}\r\n\r\n{BODY}").as_bytes())
        .await
        .unwrap();
    stream
}

#[tokio::test]
async fn what_was_accepted_is_answered_before_the_server_ends() {
    let fixture = Fixture::new(Task::Tag);
    fixture.model.shut();
    let Started {
        address,
        stop,
        ended,
    } = start(&fixture, Duration::from_mins(1)).await;
    let mut accepted = ask(address).await;
    fixture.model.until_begun(1).await;
    stop.send(()).unwrap();
    // The listener closes while the request is still computed.
    eventually("the listener closes", async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
    assert_eq!(fixture.service.readiness().unwrap_err().code(), "draining");
    assert!(!ended.is_finished());
    fixture.model.open();
    let mut answer = String::new();
    accepted.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn draining_ends_when_its_time_is_over() {
    let fixture = Fixture::new(Task::Tag);
    fixture.model.shut();
    let Started {
        address,
        stop,
        ended,
    } = start(&fixture, Duration::from_millis(20)).await;
    let _accepted = ask(address).await;
    fixture.model.until_begun(1).await;
    stop.send(()).unwrap();
    assert!(matches!(
        ended.await.unwrap(),
        Err(RunError::DrainTimeout(_))
    ));
    fixture.model.open();
}

#[tokio::test]
async fn a_client_that_hangs_up_is_not_computed_for() {
    let fixture = Fixture::new(Task::Tag);
    fixture.model.shut();
    let Started {
        address,
        stop,
        ended,
    } = start(&fixture, Duration::from_mins(1)).await;
    let mut first = ask(address).await;
    fixture.model.until_begun(1).await;
    drop(ask(address).await);
    fixture.until_counted(r#"code="499""#).await;
    fixture.model.open();
    stop.send(()).unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    ended.await.unwrap().unwrap();
    assert_eq!(
        fixture.model.runs.load(std::sync::atomic::Ordering::SeqCst),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_brings_its_headers_is_closed() {
    let fixture = Fixture::new(Task::Tag);
    let Started { address, .. } = start(&fixture, Duration::from_mins(1)).await;
    // Connected and written to at once: while anybody waits, the clock runs on to the server's timeout.
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    io::Write::write_all(&mut stream, b"POST /tag HTTP/1.1\r\nhost: a\r\n").unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(stream).unwrap();
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_mins(2), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection is still open");
}

#[test]
fn workers_are_never_more_than_the_cores_of_the_process() {
    let cores = std::thread::available_parallelism().unwrap();
    assert_eq!(within_cores(NonZeroUsize::MIN), NonZeroUsize::MIN);
    assert_eq!(within_cores(cores), cores);
    assert_eq!(within_cores(NonZeroUsize::MAX), cores);
}
