//! One connection, from its first byte until it closes or its peer is overdue.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::pin::pin;

use hyper::body::{Body, Bytes};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::Service;

use super::activity::{Overdue, Standing, Verdict};
use super::admission::{Admission, Connections};
use super::maybe_tls::MaybeTls;
use super::proxy_protocol::{self, Beginning};
use super::record::Record;
use super::request_body::RequestBody;
use super::requests::Requests;
use super::transport::Transport;
use crate::stage::Stage;
use crate::tls::Alpn;

/// An accepted connection.
pub struct Connection {
    /// The protocols that its listener offers over TLS.
    pub alpn: Alpn,
    pub peer: IpAddr,
    pub admission: Admission,
    pub record: Record,
    pub connections: Connections,
    pub stage: watch::Receiver<Stage>,
}

impl Connection {
    /// Serves until the connection closes. Once the server stops, each request is the last of its connection: HTTP/1
    /// says `connection: close`, HTTP/2 sends a GOAWAY, which leaves time for requests that are on their way. A
    /// connection that has brought no request yet is not told before its first one, because its client would take a
    /// new connection that closes for one that failed.
    pub async fn serve<S, B>(
        mut self,
        mut stream: TcpStream,
        builder: &Builder<TokioExecutor>,
        service: S,
    ) where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // Responses are written at once, so waiting for more data to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let Some((read, peer)) = self.begin(&mut stream).await else {
            return;
        };
        let transport = Transport::new(stream, read, self.record.clone());
        let reset_on_close = transport.reset_on_close();
        let Some(stream) = self.secure(transport, peer).await else {
            return;
        };
        let record = self.record;
        let is_reserved = self.admission.is_reserved();
        let patience = self.admission.patience();
        if self.connections.trusted_proxies().trust(Some(peer)) {
            record.share();
        }
        let requests = Requests {
            peer,
            is_reserved,
            record: record.clone(),
            connections: self.connections.clone(),
            stage: self.stage.clone(),
        };
        let service = service_fn(move |request| requests.answer(service.clone(), request));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let (mut is_told, mut is_draining) = (false, false);
        let mut is_leaving = false;
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error, "connection ended early");
                    }
                    return;
                }
                Ok(()) = self.stage.changed() => {}
                () = record.alerted() => {}
                () = self.admission.is_needed(), if !is_leaving => {
                    if is_reserved {
                        return;
                    }
                    is_leaving = true;
                    record.close();
                    connection.as_mut().graceful_shutdown();
                    // HTTP/2 has time to say it.
                    look_at = Instant::now();
                    continue;
                }
                () = sleep_until(look_at) => {}
            }
            if is_leaving {
                match record.standing() {
                    Standing::Quiet => return,
                    Standing::Waiting => {
                        reset_on_close.set();
                        return;
                    }
                    Standing::Busy => {}
                }
            }
            let stage = *self.stage.borrow_and_update();
            if stage >= Stage::Draining && !is_draining {
                (is_told, is_draining) = (true, true);
                record.drain();
                connection.as_mut().graceful_shutdown();
                // The protocol may have a last word.
                look_at = Instant::now();
                continue;
            }
            if stage > Stage::Serving && !is_told && record.speaks_http2() {
                is_told = true;
                record.close();
                connection.as_mut().graceful_shutdown();
            }
            match record.verdict(patience) {
                Verdict::LookAt(time) => look_at = time,
                Verdict::Close(overdue) => {
                    self.connections.overdue(overdue);
                    tracing::debug!(%peer, ?overdue, "closing a connection");
                    record.close();
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Drop(overdue) => {
                    if let Some(overdue) = overdue {
                        self.connections.overdue(overdue);
                    }
                    tracing::debug!(%peer, ?overdue, "dropping a connection");
                    reset_on_close.set();
                    return;
                }
                Verdict::End => return,
            }
        }
    }

    /// Reads the PROXY protocol's header, which only trusted proxies may send. Returns what else was read, and the
    /// address that counts as the peer's. `None` if the connection is to be closed.
    async fn begin(&mut self, stream: &mut TcpStream) -> Option<(Bytes, IpAddr)> {
        if !self.connections.trusted_proxies().trust(Some(self.peer)) {
            return Some((Bytes::new(), self.peer));
        }
        let header = self.before_requests(proxy_protocol::read(stream)).await?;
        let (read, peer) = match header {
            Ok(Beginning::Request(read)) => (read, self.peer),
            Ok(Beginning::Header(source)) => {
                let source = source.map(|source| source.to_canonical());
                (Bytes::new(), source.unwrap_or(self.peer))
            }
            Err(error) => {
                tracing::debug!(%error, peer = %self.peer, "connection ended early");
                return None;
            }
        };
        let client = peer.into();
        self.admission
            .belongs_to(client, &self.record, &self.connections);
        Some((read, peer))
    }

    /// Performs the TLS handshake, if the server has TLS. `None` if the connection is to be closed.
    async fn secure(&mut self, transport: Transport, peer: IpAddr) -> Option<MaybeTls> {
        let Some(tls) = self.connections.tls().cloned() else {
            return Some(MaybeTls::Plain(transport));
        };
        // In a box, because a connection without TLS would need as much memory otherwise.
        let handshake = Box::pin(tls.accept(self.alpn, transport));
        match self.before_requests(handshake).await? {
            Ok(stream) => Some(MaybeTls::Tls(Box::new(stream))),
            Err(error) => {
                let reason = error.failure();
                self.connections.metrics().handshake_failed(reason);
                tracing::debug!(%error, ?reason, %peer, "a TLS handshake failed");
                None
            }
        }
    }

    /// Awaits a part of what precedes the first request, and with it has to come in time. `None` if the connection is
    /// to be closed instead.
    async fn before_requests<T>(&mut self, part: impl Future<Output = T>) -> Option<T> {
        let due = self.record.opened() + self.admission.patience().first_request;
        tokio::select! {
            done = timeout_at(due, part) => {
                if done.is_err() {
                    self.connections.overdue(Overdue::FirstRequest);
                }
                done.ok()
            }
            () = self.admission.is_needed() => None,
            // An error means that the sender is gone, and with it the server.
            _ = self.stage.wait_for(|stage| *stage >= Stage::Draining) => None,
        }
    }
}
