//! Middleware: answers to GET are weighed until they are sent. A request of a line asks for kilobytes of metrics or
//! models, and a client that reads nothing would have the server keep all of them.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::health_only::is_health;
use crate::client::Sender;
use crate::error::ServiceError;
use crate::inflight::InflightBytes;

/// Answers of at most this many bytes are not weighed: a connection's own state takes more.
const SMALL: usize = 1 << 10;

/// The weight of the largest, as a part of what all may hold. One answer is always sent.
const LARGEST_PART: usize = 4;

/// `unsent` is what all such answers may hold.
pub async fn weigh(State(unsent): State<InflightBytes>, request: Request, next: Next) -> Response {
    if request.method() != Method::GET || is_health(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let client = Sender::of(request.extensions()).client;
    let (parts, body) = next.run(request).await.into_parts();
    // No answer to GET is a stream, so nothing is waited for.
    let bytes = match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return ServiceError::internal(error).into_response(),
    };
    if bytes.len() <= SMALL {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let weight = bytes.len().min(unsent.capacity() / LARGEST_PART);
    match unsent.of(client).reserve(weight) {
        Ok(hold) => Response::from_parts(parts, Body::from(hold.keep(bytes))),
        Err(full) => ServiceError::from(full).into_response(),
    }
}
