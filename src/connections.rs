//! Accepts connections, and serves each until it closes or the server stops.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower::Service;
use tower_http::add_extension::AddExtension;

use crate::client::Client;

/// The time that a connection may take to send a request's headers, or stay open without a request. Most load balancers
/// keep their side open for 60 seconds. With a shorter timeout here, they would send into a closed connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// The interval of HTTP/2 keep-alive pings.
const PING_INTERVAL: Duration = Duration::from_mins(1);

/// The flow-control window of a stream, in bytes. This is HTTP/2's default.
const STREAM_WINDOW: u32 = 64 << 10;

/// The flow-control window of a connection, in bytes. It exceeds that of 200 full streams, the most that hyper allows.
///
/// Half of it is also h2's budget for unread small frames, counted at 256 bytes of overhead each; beyond it, h2 closes
/// the connection. So it must be many times a stream's window. Otherwise a stream of small messages that arrive faster
/// than they are answered would lose its connection instead of waiting.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The wait after the system runs out of file descriptors, until some connections have ended.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, or HTTP/2 if the client starts with its preface.
    Any,
    /// HTTP/2 only, as gRPC requires.
    Http2,
}

/// Serves until `stop` completes. Then stops accepting connections, and returns once the open ones are answered.
pub async fn serve<S, B>(
    listener: TcpListener,
    protocol: Protocol,
    service: S,
    stop: impl Future<Output = ()> + Send,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let builder = builder(protocol);
    let open = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let service = AddExtension::new(service.clone(), Client::from(peer));
                serve_connection(&builder, &open, service, stream);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "accepting connections failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    open.shutdown().await;
}

fn builder(protocol: Protocol) -> Builder<TokioExecutor> {
    let builder = Builder::new(TokioExecutor::new());
    let mut builder = match protocol {
        Protocol::Any => builder,
        Protocol::Http2 => builder.http2_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

fn serve_connection<S, B>(
    builder: &Builder<TokioExecutor>,
    open: &GracefulShutdown,
    service: S,
    stream: TcpStream,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Responses are written at once, so waiting for more data to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let connection = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .into_owned();
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "connection ended early");
        }
    });
}

/// Whether the error belongs to a connection that ended before it was accepted, rather than to the listening socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
