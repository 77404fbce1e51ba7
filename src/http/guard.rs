//! Middleware of the routes that need something of who asks.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::permitted::Permitted;
use super::respond::without_details;
use crate::access::{Credentials, Door, Guard, Need, Origin, Permit};
use crate::browsers::{Host, named_hosts};
use crate::client::Sender;
use crate::error::ServiceError;

/// What stands before a route.
#[derive(Clone)]
pub struct Gate {
    pub guard: Guard,
    pub door: Door,
    pub need: Need,
}

/// Hides what is wrong with models from requests to open routes that have no key, where keys are needed elsewhere.
pub async fn hide_details(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let is_known = match Credentials::of(request.headers()) {
        Credentials::Key(key) => guard.knows(key),
        Credentials::None | Credentials::NotBearer => false,
    };
    let response = next.run(request).await;
    if is_known {
        response
    } else {
        without_details(response)
    }
}

/// Lets a request in, with the request extension [`crate::access::Requester`], or says why not. It counts as in progress
/// until its answer has been sent.
pub async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let mut sender = Sender::of(request.extensions());
    if gate.need == Need::Control {
        // A page whose name points at this machine (DNS rebinding) is not this machine's.
        sender.is_local &= named_hosts(request.uri(), request.headers())
            .all(|host| Host::parse(host).is_some_and(|host| host.is_loopback()));
    }
    let origin = Origin {
        door: gate.door,
        sender,
    };
    let credentials = Credentials::of(request.headers());
    match gate.guard.admit(gate.need, origin, credentials) {
        Ok((requester, permit)) => {
            request.extensions_mut().insert(requester);
            let response = next.run(request).await;
            match permit.filter(Permit::is_counted) {
                Some(permit) => response.map(|body| Permitted::body(body, permit)),
                None => response,
            }
        }
        Err(refusal) => ServiceError::from(refusal).into_response(),
    }
}
