//! What is noted and said of each request on a connection, around the service that answers it.

use std::convert::Infallible;
use std::net::IpAddr;

use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderValue};
use hyper::{Request, Response, Version};
use tokio::sync::watch;
use tower::{Service, ServiceExt};

use super::admission::{Connections, HealthOnly};
use super::forwarded;
use super::record::Record;
use super::request_body::{RequestBody, Rest};
use super::response_body::ResponseBody;
use crate::client::Sender;
use crate::stage::Stage;

/// The requests of one connection.
pub struct Requests {
    pub peer: IpAddr,
    /// Whether only health checks are to be answered.
    pub is_reserved: bool,
    pub record: Record,
    pub connections: Connections,
    pub stage: watch::Receiver<Stage>,
}

impl Requests {
    /// Has the service answer a request. Tells it the client; once the server stops, tells the client that an HTTP/1
    /// connection ends with this answer.
    pub fn answer<S, B>(
        &self,
        service: S,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<ResponseBody<B>>, Infallible>> + Send + use<S, B>
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
    {
        let is_http2 = request.version() == Version::HTTP_2;
        let in_progress = self.record.start_request(is_http2);
        if is_http2 && is_stopping(&self.stage) {
            self.record.alert();
        }
        let receiving = in_progress.receiving();
        let rest = if request.headers().contains_key(EXPECT) {
            Rest::Awaited
        } else {
            Rest::Drained
        };
        let mut request = request.map(|body| RequestBody::new(body, receiving, rest));
        let sender = self.sender(request.headers());
        request.extensions_mut().insert(sender);
        if self.is_reserved {
            request.extensions_mut().insert(HealthOnly);
        }
        let answer = service.oneshot(request);
        let stage = self.stage.clone();
        async move {
            let mut response = answer.await?;
            if !is_http2 && is_stopping(&stage) {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok(response.map(|body| ResponseBody::new(body, in_progress)))
        }
    }

    /// Who sent a request: the peer, or for a trusted proxy the client that it tells of. A peer on this machine that
    /// tells of a client, trusted or not, speaks for that one.
    fn sender(&self, headers: &HeaderMap) -> Sender {
        let trusted = self.connections.trusted_proxies();
        let forwarded = if trusted.trust(Some(self.peer)) {
            forwarded::client(headers, trusted)
        } else {
            None
        };
        let is_near = self.peer.to_canonical().is_loopback();
        Sender {
            client: forwarded.unwrap_or(self.peer).into(),
            is_local: is_near && !forwarded::is_forwarded(headers),
        }
    }
}

fn is_stopping(stage: &watch::Receiver<Stage>) -> bool {
    *stage.borrow() > Stage::Serving
}
