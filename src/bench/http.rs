//! The load's target over HTTP/1.1: connections stay open, with one request in flight on each.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::load::{Failure, Outcome, Target};
use crate::service::Timings;

/// More of an answer than this is not read.
const LONGEST_ANSWER: usize = 64 << 20;
/// More of an error than this is not shown.
const LONGEST_REASON: usize = 300;

/// Requests to one server.
pub struct HttpTarget {
    client: Client<HttpConnector, Full<Bytes>>,
    requests: Vec<Prepared>,
}

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Where to.
    pub uri: Uri,
    /// JSON.
    pub body: Bytes,
}

impl HttpTarget {
    /// A client that has not connected yet.
    #[must_use]
    pub fn new(requests: Vec<Prepared>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, requests }
    }

    /// The text at a URL of the server, where it answers with one.
    pub async fn get(&self, uri: Uri) -> Option<String> {
        let response = self.client.get(uri).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        String::from_utf8(read(response).await.ok()?.to_vec()).ok()
    }
}

impl Target for HttpTarget {
    async fn send(&self, request: usize) -> Outcome {
        let Prepared { uri, body } = &self.requests[request];
        let request = hyper::Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(body.clone()))
            .map_err(|error| broken(&error))?;
        let response = self.client.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error);
            broken(cause.unwrap_or(&error))
        })?;
        let (status, timings) = (response.status(), timings(response.headers()));
        let body = read(response).await.map_err(|error| broken(&*error))?;
        if status.is_success() {
            return Ok(timings);
        }
        let text = String::from_utf8_lossy(&body);
        Err(Failure {
            kind: status.as_u16().to_string(),
            reason: text.chars().take(LONGEST_REASON).collect(),
        })
    }
}

async fn read(
    response: Response<Incoming>,
) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let body = Limited::new(response.into_body(), LONGEST_ANSWER);
    Ok(body.collect().await?.to_bytes())
}

fn broken(error: &dyn std::error::Error) -> Failure {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    Failure {
        kind: "connection".to_owned(),
        reason,
    }
}

/// What the header server-timing tells, where it is that of an electra.
fn timings(headers: &HeaderMap) -> Option<Timings> {
    let text = headers.get("server-timing")?.to_str().ok()?;
    let part = |wanted: &str| {
        text.split(", ").find_map(|part| {
            let milliseconds = part.strip_prefix(wanted)?.strip_prefix(";dur=")?;
            let seconds = milliseconds.parse::<f64>().ok()? / 1e3;
            Duration::try_from_secs_f64(seconds).ok()
        })
    };
    Some(Timings {
        tokenize: part("tokenize")?,
        queue: part("queue")?,
        inference: part("inference")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_times_are_read() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("server-timing", HeaderValue::from_static(text));
            timings(&headers)
        };
        let expected = Timings {
            tokenize: Duration::from_micros(125),
            queue: Duration::from_micros(2500),
            inference: Duration::from_millis(10),
        };
        assert_eq!(
            of("tokenize;dur=0.125, queue;dur=2.500, inference;dur=10.000"),
            Some(expected)
        );
        assert_eq!(of("total;dur=5"), None);
        assert_eq!(of("tokenize;dur=-1, queue;dur=1, inference;dur=1"), None);
        assert_eq!(timings(&HeaderMap::new()), None);
    }
}
