//! Tests of connections over TLS: handshakes are a part of a connection's life, and the same rules hold after them.

use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::pki_types::ServerName;

use super::*;
use crate::tls::testing::Authority;
use crate::tls::{Tls, TlsFiles};

fn localhost() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

/// A server over TLS, and its authority.
async fn start(protocol: Protocol, options: ConnectionOptions) -> (Served, Authority) {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    authority.sign().write(folder.path());
    let tls = Tls::load(&TlsFiles {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
        client_ca: None,
    });
    let connections = |metrics| Connections::new(options, metrics).with_tls(tls.unwrap());
    (Served::start_with(protocol, connections).await, authority)
}

/// Performs a client's handshake.
async fn secure(stream: TcpStream, authority: &Authority) -> TlsStream<TcpStream> {
    let client = authority.client(&[], None);
    let handshake = client.connect(localhost(), stream);
    soon("the handshake is done", handshake).await.unwrap()
}

/// The first flight of a client.
fn hello(authority: &Authority) -> Vec<u8> {
    let config = authority.client_config(&[], None);
    let mut client = ClientConnection::new(config, localhost()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

fn behind_proxy() -> ConnectionOptions {
    ConnectionOptions {
        trusted_proxies: "127.0.0.1".parse().unwrap(),
        ..ConnectionOptions::default()
    }
}

/// Tells 192.0.2.1 as the client.
fn proxy_header() -> Vec<u8> {
    let start = &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..];
    [start, &[192, 0, 2, 1, 127, 0, 0, 1, 0, 1, 0, 2]].concat()
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_whole_is_waited_for_75_seconds() {
    for part in [0, 1, 100, usize::MAX] {
        let (served, authority) = start(Protocol::Any, ConnectionOptions::default()).await;
        let clock = HeldClock::new();
        let mut stream = served.accepted().await;
        let hello = hello(&authority);
        stream
            .write_all(&hello[..part.min(hello.len())])
            .await
            .unwrap();
        let seconds = served.seconds_until_closed("first_request").await;
        assert!((75..75 + 7).contains(&seconds), "{part}: {seconds}");
        read_to_end(&mut stream).await;
        drop(clock);
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_handshake_is_not_added_to_that_of_the_first_request() {
    let (served, authority) = start(Protocol::Any, ConnectionOptions::default()).await;
    let clock = HeldClock::new();
    let stream = served.accepted().await;
    advance(60 * SECOND).await;
    let mut stream = secure(stream, &authority).await;
    let seconds = served.seconds_until_closed("first_request").await;
    assert!((15..15 + 7).contains(&seconds), "{seconds}");
    read_to_end(&mut stream).await;
    drop(clock);

    // Nor is that of a proxy's header to the time of the handshake.
    let (served, _) = start(Protocol::Any, behind_proxy()).await;
    let clock = HeldClock::new();
    let mut stream = served.accepted().await;
    advance(60 * SECOND).await;
    stream.write_all(&proxy_header()).await.unwrap();
    let seconds = served.seconds_until_closed("first_request").await;
    assert!((15..15 + 7).contains(&seconds), "{seconds}");
    read_to_end(&mut stream).await;
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn handshakes_end_at_once_when_the_server_drains() {
    let (served, authority) = start(Protocol::Http2, ConnectionOptions::default()).await;
    let clock = HeldClock::new();
    let hello = hello(&authority);
    let mut open = Vec::new();
    for part in [0, 1, hello.len()] {
        let mut stream = served.accepted().await;
        stream.write_all(&hello[..part]).await.unwrap();
        open.push(stream);
    }
    let done = secure(served.accepted().await, &authority).await;
    served.stage.send_replace(Stage::Closing);
    let late = async { served.ended.is_finished() };
    assert!(!late.await, "they may still become requests");
    served.stage.send_replace(Stage::Draining);
    // The clock stands still.
    soon("the server ends", served.ended).await.unwrap();
    drop((open, done, clock));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn handshakes_hold_places_and_give_way() {
    let (served, authority) = start(Protocol::Any, at_most(2)).await;
    let mut silent = served.accepted().await;
    let mut half = served.accepted().await;
    half.write_all(&hello(&authority)[..50]).await.unwrap();
    let newcomer = served.connect_from(ADDRESSES[0]).await;
    let mut newcomer = secure(newcomer, &authority).await;
    assert_eq!(ask(&mut newcomer, "/reserved", "").await, "false");
    read_to_end(&mut silent).await;
    assert!(served.counts_closed("displaced", 1));
    let other = served.connect_from(ADDRESSES[1]).await;
    let mut other = secure(other, &authority).await;
    assert_eq!(ask(&mut other, "/reserved", "").await, "true");
}

#[tokio::test(start_paused = true)]
async fn a_response_over_tls_that_the_peer_does_not_take_ends_its_connection() {
    let clock = HeldClock::new();
    let (served, authority) = start(Protocol::Any, ConnectionOptions::default()).await;
    let mut stream = secure(served.connect().await, &authority).await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    let seconds = served.seconds_until_closed("stalled").await;
    assert!((30..30 + 7).contains(&seconds), "{seconds}");
    served.until_nothing_is_held().await;

    let (served, authority) = start(Protocol::Any, ConnectionOptions::default()).await;
    let stream = secure(served.connect().await, &authority).await;
    let (mut client, _connection) = http2_client(stream).await;
    let response = client.send_request(get("/large")).await.unwrap();
    let seconds = served.seconds_until_closed("stalled").await;
    assert!((30..30 + 7).contains(&seconds), "{seconds}");
    served.until_nothing_is_held().await;
    drop((clock, response));
}

#[tokio::test]
async fn a_large_response_arrives_whole_over_tls() {
    let (served, authority) = start(Protocol::Any, ConnectionOptions::default()).await;
    let mut stream = secure(served.connect().await, &authority).await;
    for _ in 0..2 {
        assert_eq!(ask(&mut stream, "/large", "").await.len(), LARGE);
    }
    let stream = secure(served.connect().await, &authority).await;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let response = client.send_request(get("/large")).await.unwrap();
    let body = soon("the body", response.into_body().collect()).await;
    assert_eq!(body.unwrap().to_bytes().len(), LARGE);
}

#[tokio::test]
async fn the_header_of_a_proxy_precedes_the_handshake() {
    let header = proxy_header();
    let (served, authority) = start(Protocol::Any, behind_proxy()).await;
    for (header, expected) in [
        (&header[..], "Some(V4(192.0.2.1))"),
        (b"", "Some(V4(127.0.0.1))"),
    ] {
        let mut stream = served.connect().await;
        stream.write_all(header).await.unwrap();
        let mut stream = secure(stream, &authority).await;
        assert_eq!(ask(&mut stream, "/client", "").await, expected);
    }
}

#[tokio::test]
async fn handshakes_that_fail_are_counted_by_reason_and_closed() {
    let (served, authority) = start(Protocol::Any, ConnectionOptions::default()).await;
    let plain = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let hello = hello(&authority);
    for (bytes, reason) in [
        (&plain[..], "not_tls"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not_tls"),
        (&hello[..40], "closed"),
    ] {
        let name = "electra_tls_handshakes_failed_total";
        let counted =
            |times: usize| served.counts(&format!("{name}{{reason=\"{reason}\"}} {times}"));
        let times = if counted(1) { 2 } else { 1 };
        let mut stream = served.connect().await;
        stream.write_all(bytes).await.unwrap();
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = soon("the server closes", stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        eventually("it is counted", async || counted(times)).await;
    }
    let stranger = Authority::new().client(&[], None);
    let refused = stranger.connect(localhost(), served.connect().await).await;
    assert!(refused.is_err());
    eventually("it is counted", async || {
        served.counts("electra_tls_handshakes_failed_total{reason=\"refused_by_client\"} 1")
    })
    .await;
    // Others are served.
    let mut stream = secure(served.connect().await, &authority).await;
    assert_eq!(ask(&mut stream, "/", "").await, "");
}
