//! Starting, draining and hanging up over a real socket, with the hand-made model.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::advance;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;
use crate::connections::ConnectionOptions;
use crate::service::testing::Fixture;
use crate::testing::{HeldClock, eventually, soon};

const BODY: &str = r#"{"text": "fox"}"#;

/// A server over the hand-made model, and the way to stop it.
struct Started {
    address: std::net::SocketAddr,
    signals: mpsc::UnboundedSender<()>,
    ended: JoinHandle<Result<(), RunError>>,
}

async fn start(fixture: &Fixture, drain: Duration) -> Started {
    let timeouts = Timeouts {
        drain,
        ..Timeouts::default()
    };
    start_with(fixture, timeouts).await
}

async fn start_with(fixture: &Fixture, timeouts: Timeouts) -> Started {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (signals, received) = mpsc::unbounded_channel();
    let running = Running {
        service: fixture.service.clone(),
        guard: Guard::open(),
        key_file: KeyFile::default(),
        metrics: fixture.metrics.clone(),
        timeouts,
        connections: Connections::new(ConnectionOptions::default(), fixture.metrics.clone()),
        inflight: InflightBytes::new(1 << 20),
        browsers: BrowserPolicy::default(),
        scheduler: Arc::clone(&fixture.scheduler),
    };
    let listeners = Listeners {
        http: listener,
        grpc: None,
        admin: None,
    };
    let received = UnboundedReceiverStream::new(received);
    let ended = tokio::spawn(running.serve(listeners, received, std::future::pending()));
    Started {
        address,
        signals,
        ended,
    }
}

async fn ask(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream).await;
    stream
}

async fn send(stream: &mut TcpStream) {
    let length = BODY.len();
    let head = format!(
        "POST /tag HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}"
    );
    stream
        .write_all(format!("{head}\r\n\r\n{BODY}").as_bytes())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_accepted_is_answered_before_the_server_ends() {
    let fixture = Fixture::new(Task::Tag);
    fixture.model.shut();
    let Started {
        address,
        signals,
        ended,
    } = start(&fixture, Duration::from_mins(1)).await;
    let mut accepted = ask(address).await;
    fixture.model.until_begun(1).await;
    signals.send(()).unwrap();
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
        signals,
        ended,
    } = start(&fixture, Duration::from_millis(20)).await;
    let _accepted = ask(address).await;
    fixture.model.until_begun(1).await;
    signals.send(()).unwrap();
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
        signals,
        ended,
    } = start(&fixture, Duration::from_mins(1)).await;
    let mut first = ask(address).await;
    fixture.model.until_begun(1).await;
    drop(ask(address).await);
    fixture.until_counted(r#"code="499""#).await;
    fixture.model.open();
    signals.send(()).unwrap();
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

/// A server whose stop takes requests for so long, and which has been ready.
async fn start_delayed(fixture: &Fixture, shutdown_delay: Duration) -> Started {
    fixture.service.registry().mark_settled();
    let timeouts = Timeouts {
        shutdown_delay,
        ..Timeouts::default()
    };
    start_with(fixture, timeouts).await
}

#[tokio::test(start_paused = true)]
async fn a_delayed_stop_is_not_ready_at_once_and_takes_requests_for_so_long() {
    let clock = HeldClock::new();
    let fixture = Fixture::new(Task::Tag);
    let delay = Duration::from_secs(5);
    let started = start_delayed(&fixture, delay).await;
    started.signals.send(()).unwrap();
    eventually("it is not ready", async || {
        fixture.service.readiness().is_err()
    })
    .await;
    for _ in 0..2 {
        let mut stream = ask(started.address).await;
        let mut answer = String::new();
        soon("an answer", stream.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        advance(delay.mul_f64(0.49)).await;
    }
    assert!(!started.ended.is_finished());
    let _idle = TcpStream::connect(started.address).await.unwrap();
    eventually("it ends", async || {
        advance(Duration::from_millis(1)).await;
        started.ended.is_finished()
    })
    .await;
    started.ended.await.unwrap().unwrap();
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_still_loads_stops_without_the_delay() {
    let clock = HeldClock::new();
    let fixture = Fixture::new(Task::Tag);
    let timeouts = Timeouts {
        shutdown_delay: Duration::from_mins(1),
        ..Timeouts::default()
    };
    let started = start_with(&fixture, timeouts).await;
    started.signals.send(()).unwrap();
    soon("it ends", started.ended).await.unwrap().unwrap();
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_the_stop_at_once() {
    let clock = HeldClock::new();
    for (delay, is_busy) in [(60, false), (60, true), (0, true)] {
        let fixture = Fixture::new(Task::Tag);
        fixture.model.shut();
        let started = start_delayed(&fixture, Duration::from_secs(delay)).await;
        let idle = TcpStream::connect(started.address).await.unwrap();
        let mut busy = None;
        if is_busy {
            busy = Some(ask(started.address).await);
            fixture.model.until_begun(1).await;
        }
        let start = Instant::now();
        started.signals.send(()).unwrap();
        eventually("it stops", async || fixture.service.readiness().is_err()).await;
        started.signals.send(()).unwrap();
        eventually("it ends", async || {
            advance(Duration::from_millis(10)).await;
            started.ended.is_finished()
        })
        .await;
        assert!(start.elapsed() < Duration::from_secs(1));
        let ended = started.ended.await.unwrap();
        if is_busy {
            assert!(matches!(ended, Err(RunError::Hurried)), "{ended:?}");
        } else {
            ended.unwrap();
        }
        fixture.model.open();
        drop((idle, busy));
    }
    drop(clock);
}

#[tokio::test]
async fn connections_without_a_request_do_not_fail_even_the_shortest_drain() {
    let fixture = Fixture::new(Task::Tag);
    let started = start(&fixture, Duration::from_millis(1)).await;
    let mut half = TcpStream::connect(started.address).await.unwrap();
    half.write_all(b"POST /tag HTTP/1.1\r\nhost: a\r\n")
        .await
        .unwrap();
    started.signals.send(()).unwrap();
    soon("it ends", started.ended).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_body_does_not_end_holds_up_no_stop() {
    let clock = HeldClock::new();
    let fixture = Fixture::new(Task::Tag);
    let started = start(&fixture, Duration::from_mins(1)).await;
    let mut half = TcpStream::connect(started.address).await.unwrap();
    half.write_all(
        b"POST /tag HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
          content-length: 30\r\n\r\n{",
    )
    .await
    .unwrap();
    // The server says that it reads the body.
    half.read_exact(&mut [0]).await.unwrap();
    let start = Instant::now();
    let answer = tokio::spawn(async move {
        let mut answer = String::new();
        half.read_to_string(&mut answer).await.unwrap();
        (answer, start.elapsed())
    });
    started.signals.send(()).unwrap();
    eventually("the connection ends", async || {
        advance(Duration::from_millis(10)).await;
        answer.is_finished()
    })
    .await;
    let (answer, answered_after) = answer.await.unwrap();
    assert!(answer.contains("HTTP/1.1 503"), "{answer}");
    assert!(answered_after >= Duration::from_secs(1));
    assert!(answered_after < Duration::from_secs(5));
    // The threads of the workers end in real time, which the clock here says nothing about.
    soon("it ends", started.ended).await.unwrap().unwrap();
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn a_request_on_its_way_is_answered_when_the_server_closes() {
    let clock = HeldClock::new();
    let fixture = Fixture::new(Task::Tag);
    let started = start(&fixture, Duration::from_mins(1)).await;
    let mut stream = TcpStream::connect(started.address).await.unwrap();
    started.signals.send(()).unwrap();
    eventually("the listener closes", async || {
        TcpStream::connect(started.address).await.is_err()
    })
    .await;
    send(&mut stream).await;
    let mut answer = String::new();
    soon("an answer", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    eventually("it ends", async || {
        advance(Duration::from_millis(10)).await;
        started.ended.is_finished()
    })
    .await;
    started.ended.await.unwrap().unwrap();
    drop(clock);
}

#[test]
fn workers_are_never_more_than_the_cores_of_the_process() {
    let cores = std::thread::available_parallelism().unwrap();
    assert_eq!(within_cores(NonZeroUsize::MIN), NonZeroUsize::MIN);
    assert_eq!(within_cores(cores), cores);
    assert_eq!(within_cores(NonZeroUsize::MAX), cores);
}
