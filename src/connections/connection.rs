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
use tokio::time::{Instant, sleep_until, timeout};
use tower::Service;

use super::activity::{Overdue, Standing, Verdict};
use super::admission::{Admission, Connections};
use super::proxy_protocol::{self, Beginning};
use super::record::Record;
use super::request_body::RequestBody;
use super::requests::Requests;
use super::transport::Transport;
use crate::stage::Stage;

/// An accepted connection.
pub struct Connection {
    pub stream: TcpStream,
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
    pub async fn serve<S, B>(mut self, builder: &Builder<TokioExecutor>, service: S)
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // Responses are written at once, so waiting for more data to send would only delay them.
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let Some((read, peer)) = self.begin().await else {
            return;
        };
        let record = self.record;
        let transport = Transport::new(self.stream, read, record.clone());
        let reset_on_close = transport.reset_on_close();
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
        let mut connection = pin!(builder.serve_connection(TokioIo::new(transport), service));
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
    async fn begin(&mut self) -> Option<(Bytes, IpAddr)> {
        let trusted = self.connections.trusted_proxies();
        if !trusted.trust(Some(self.peer)) {
            return Some((Bytes::new(), self.peer));
        }
        let patience = self.admission.patience();
        let header = proxy_protocol::read(&mut self.stream);
        let header = timeout(patience.first_request, header);
        let header = tokio::select! {
            header = header => header,
            () = self.admission.is_needed() => return None,
            // An error means that the sender is gone, and with it the server.
            _ = self.stage.wait_for(|stage| *stage >= Stage::Draining) => return None,
        };
        let (read, peer) = match header {
            Ok(Ok(Beginning::Request(read))) => (read, self.peer),
            Ok(Ok(Beginning::Header(source))) => {
                let source = source.map(|source| source.to_canonical());
                (Bytes::new(), source.unwrap_or(self.peer))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, peer = %self.peer, "connection ended early");
                return None;
            }
            Err(_) => {
                self.connections.overdue(Overdue::FirstRequest);
                return None;
            }
        };
        let client = peer.into();
        self.admission
            .belongs_to(client, &self.record, &self.connections);
        Some((read, peer))
    }
}
