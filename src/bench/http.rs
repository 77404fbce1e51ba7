//! The load's target over HTTP/1.1: connections stay open, with one request in flight on each.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::load::{LONGEST_ANSWER, LoadFailure, LoadTarget, Outcome};
use crate::service::Timings;

/// Requests to one server.
pub struct HttpTarget {
    client: Client<HttpConnector, Full<Bytes>>,
    requests: Vec<HttpCall>,
}

/// A request that is ready to be sent.
#[derive(Clone, Debug)]
pub struct HttpCall {
    pub uri: Uri,
    /// JSON.
    pub body: Bytes,
}

impl HttpTarget {
    /// Opens no connection yet.
    #[must_use]
    pub fn new(requests: Vec<HttpCall>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, requests }
    }

    /// The text at a URL of the server, if it returns one.
    pub async fn get(&self, uri: Uri) -> Option<String> {
        let response = self.client.get(uri).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        String::from_utf8(read(response).await.ok()?.to_vec()).ok()
    }
}

impl LoadTarget for HttpTarget {
    async fn send(&self, request: usize) -> Outcome {
        let HttpCall { uri, body } = &self.requests[request];
        let request = hyper::Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(body.clone()))
            .map_err(|error| LoadFailure::broken(&error))?;
        let response = self.client.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error);
            LoadFailure::broken(cause.unwrap_or(&error))
        })?;
        let status = response.status();
        let timings = response.headers().get(Timings::HEADER);
        let timings = timings.and_then(|text| text.to_str().ok()?.parse().ok());
        let body = read(response)
            .await
            .map_err(|error| LoadFailure::broken(&*error))?;
        if status.is_success() {
            return Ok(timings);
        }
        let text = String::from_utf8_lossy(&body);
        Err(LoadFailure::new(status.as_u16().to_string(), &text))
    }
}

async fn read(
    response: Response<Incoming>,
) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let body = Limited::new(response.into_body(), LONGEST_ANSWER);
    Ok(body.collect().await?.to_bytes())
}
