//! Middleware of the routes that need something of who asks.

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::{Credentials, Door, Guard, Need, Origin};
use crate::client::Sender;
use crate::error::ServiceError;

/// What stands before a route.
#[derive(Clone)]
pub struct Gate {
    pub guard: Guard,
    pub door: Door,
    pub need: Need,
}

/// Lets a request in, with the request extension [`crate::access::Requester`], or says why not. It counts as in progress
/// until its answer is made.
pub async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let sender = request.extensions().get::<Sender>().copied();
    let origin = Origin {
        door: gate.door,
        sender: sender.unwrap_or_default(),
    };
    let header = request.headers().get(AUTHORIZATION);
    let credentials = Credentials::read(header.map(HeaderValue::as_bytes));
    match gate.guard.admit(gate.need, origin, credentials) {
        Ok((requester, permit)) => {
            request.extensions_mut().insert(requester);
            let response = next.run(request).await;
            drop(permit);
            response
        }
        Err(refusal) => ServiceError::from(refusal).into_response(),
    }
}
