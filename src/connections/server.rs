//! Accepts connections until the server closes, then waits until the open ones are answered.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Bytes};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::admission::Connections;
use super::connection::Connection;
use super::record::Record;
use super::request_body::RequestBody;
use crate::stage::Stage;
use crate::tls::Alpn;

/// The interval of HTTP/2 keep-alive pings.
const PING_INTERVAL: Duration = Duration::from_mins(1);

/// The requests that a connection may have in progress over HTTP/2. HTTP/2 recommends no fewer.
const STREAMS: u32 = 100;

/// The flow-control window of a stream, in bytes. This is HTTP/2's default. So a connection holds at most 6.25 MiB of
/// bodies that no request has read.
const STREAM_WINDOW: u32 = 64 << 10;

/// The flow-control window of a connection, in bytes. It exceeds that of [`STREAMS`] full streams, so no stream has to
/// wait for another.
///
/// Half of it is also h2's budget for unread small frames, counted at 256 bytes of overhead each; beyond it, h2 closes
/// the connection. So it must be many times a stream's window. Otherwise a stream of small messages that arrive faster
/// than they are answered would lose its connection instead of waiting.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The bytes of a response that HTTP/2 holds for its stream until they are sent.
const STREAM_SEND_BUFFER: usize = 32 << 10;

/// The bytes that HTTP/1 holds: of a request's headers, which may not be longer, and of a response. Headers over HTTP/2
/// may have half of that, hyper's default.
const HTTP1_BUFFER: usize = 64 << 10;

/// The bytes that the system holds for a peer that reads too slowly. The system would take megabytes, and would not say
/// that the peer reads until a third of them are free again.
const SOCKET_SEND_BUFFER: usize = 256 << 10;

/// The wait after the system runs out of file descriptors, until some connections have ended.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The most connections that the system holds for the server to accept. tokio's listeners ask for so many.
const BACKLOG: usize = 1024;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, or HTTP/2 if the client starts with its preface.
    Any,
    /// HTTP/2 only, as gRPC requires.
    Http2,
}

impl Protocol {
    /// The name in metrics.
    fn label(self) -> &'static str {
        match self {
            Self::Any => "http",
            Self::Http2 => "grpc",
        }
    }

    /// What the listener offers over TLS.
    fn alpn(self) -> Alpn {
        match self {
            Self::Any => Alpn::Http,
            Self::Http2 => Alpn::Http2,
        }
    }
}

/// Serves until [`Stage::Closing`]. Then accepts no more connections, and returns once the open ones have ended.
pub async fn serve<S, B>(
    listener: TcpListener,
    protocol: Protocol,
    connections: Connections,
    service: S,
    mut stage: watch::Receiver<Stage>,
) where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Accepted sockets inherit it.
    if let Err(error) =
        rustix::net::sockopt::set_socket_send_buffer_size(&listener, SOCKET_SEND_BUFFER)
    {
        tracing::debug!(%error, "the size of send buffers can't be set");
    }
    let builder = Arc::new(builder(protocol));
    let open = connections.metrics().open_connections(protocol.label());
    let tasks = TaskTracker::new();
    let stages = stage.clone();
    let start = |stream: TcpStream, peer: SocketAddr| {
        let record = Record::new();
        let connection = Connection {
            alpn: protocol.alpn(),
            peer: peer.ip(),
            admission: connections.admit(peer.ip(), &record),
            record,
            connections: connections.clone(),
            stage: stages.clone(),
        };
        let counted = open.count();
        let (builder, service) = (Arc::clone(&builder), service.clone());
        tasks.spawn(async move {
            connection.serve(stream, &builder, service).await;
            drop(counted);
        });
    };
    loop {
        let accepted = tokio::select! {
            // An error means that the sender is gone, and with it the server.
            _ = stage.wait_for(|stage| *stage >= Stage::Closing) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => start(stream, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                connections.accept_failed(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Their clients count as connected, and may have sent requests.
    for (stream, peer) in backlog(listener) {
        start(stream, peer);
    }
    tasks.close();
    tasks.wait().await;
}

/// Closes a listener. Returns the connections that the system has established and nobody has accepted, which would be
/// reset otherwise.
fn backlog(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else {
        return Vec::new();
    };
    let accept = || {
        let (stream, peer) = listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok::<_, io::Error>((TcpStream::from_std(stream)?, peer))
    };
    // The listener does not block, so the first error says that there are no more.
    std::iter::from_fn(|| accept().ok()).take(BACKLOG).collect()
}

fn builder(protocol: Protocol) -> Builder<TokioExecutor> {
    let builder = Builder::new(TokioExecutor::new());
    let mut builder = match protocol {
        Protocol::Any => builder,
        Protocol::Http2 => builder.http2_only(),
    };
    // The connection's own watchdog bounds the wait for headers.
    builder
        .http1()
        .header_read_timeout(None)
        .max_buf_size(HTTP1_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(STREAM_SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

/// Whether the error belongs to a connection that ended before it was accepted, rather than to the listening socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
