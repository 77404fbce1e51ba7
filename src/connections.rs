//! Accepts connections, and serves each until it ends or the server stops.

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

/// How long a connection may take to bring a request's headers, and stay open without a request. Longer than what load
/// balancers keep their own side open for, 60 seconds mostly: were it shorter, they would send into a closed connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// How often an HTTP/2 client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_mins(1);

/// How much a client may send on a stream before it is read: HTTP/2's own default.
const STREAM_WINDOW: u32 = 64 << 10;

/// How much it may send on all streams of a connection: more than as many full ones as hyper lets it open, 200. Half of it is
/// also h2's budget for the overhead of small frames that are not read yet, 256 bytes each, beyond which it closes the
/// connection: so it has to be many times a stream's window, or a stream of small messages that come faster than they are
/// answered loses its connection where it should wait.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How long to wait where the system has no more file descriptors, until some connections have ended.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, or HTTP/2 where the client begins with its preface.
    Any,
    /// HTTP/2 alone, as gRPC needs it.
    Http2,
}

/// Serves until `stop` is done; then accepts no more connections, and returns when those that are open are answered.
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
            Ok((stream, _)) => serve_connection(&builder, &open, service.clone(), stream),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "connections can't be accepted");
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
    // Answers are written at once: waiting for more to send only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let connection = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .into_owned();
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection ended early");
        }
    });
}

/// Whether an error is that of a connection that ended before it was accepted, and not of the listening socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
