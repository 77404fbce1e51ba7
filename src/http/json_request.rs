//! Request bodies: checks media type, size and deadline, and parses JSON.

use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::body;
use super::context::request_context;
use super::media_type::MediaType;
use super::state::HttpState;
use crate::error::ServiceError;
use crate::inflight::head_bytes;
use crate::quote::quoted;
use crate::service::{RequestContext, cost, json};

/// Media types that a route accepts.
pub trait MediaTypes: Send {
    /// Whether JSON may arrive without a `content-type`, or with the form type that curl declares for any data. Other
    /// servers of these protocols accept such bodies. Pages of other origins can send them without a CORS preflight.
    const TAKES_UNDECLARED: bool;
    /// Whether binary data may follow the JSON.
    const TAKES_BINARY: bool;
}

/// Accepts only declared JSON.
pub struct JsonOnly;

impl MediaTypes for JsonOnly {
    const TAKES_UNDECLARED: bool = false;
    const TAKES_BINARY: bool = false;
}

/// Accepts JSON, declared or not.
pub struct JsonOrUndeclared;

impl MediaTypes for JsonOrUndeclared {
    const TAKES_UNDECLARED: bool = true;
    const TAKES_BINARY: bool = false;
}

/// Accepts JSON, declared or not, and binary data after it.
pub struct JsonOrBinary;

impl MediaTypes for JsonOrBinary {
    const TAKES_UNDECLARED: bool = true;
    const TAKES_BINARY: bool = true;
}

/// A request's body, decompressed but not parsed.
pub struct Received<M> {
    pub headers: HeaderMap,
    /// Held in the budget of bytes until it is dropped.
    pub body: Bytes,
    pub context: RequestContext,
    media_types: PhantomData<M>,
}

impl<M: MediaTypes> FromRequest<HttpState> for Received<M> {
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, ServiceError> {
        if state.service.is_draining() {
            return Err(ServiceError::Draining);
        }
        let context = request_context(request.headers(), &state.timeouts, Instant::now())?
            .sent_by(request.extensions().get().cloned().unwrap_or_default());
        check_media_type::<M>(request.headers())?;
        let limit = state.service.limits().max_body_bytes;
        let (parts, body) = request.into_parts();
        let budget = state.inflight.of(context.client());
        let _head = budget.reserve(head_bytes(&parts.headers))?;
        let reading = body::read(&parts.headers, body, limit, &budget);
        let body = tokio::select! {
            biased;
            body = timeout_at(context.deadline, reading) => {
                body.map_err(|_| ServiceError::DeadlineExceeded)??
            }
            () = state.service.until_bodies_are_late() => return Err(ServiceError::Draining),
        };
        Ok(Self {
            headers: parts.headers,
            body,
            context,
            media_types: PhantomData,
        })
    }
}

impl<M> Received<M> {
    /// Reads the body, away from the connection's thread if it is large. `memory` tells how much `read` may need, which
    /// the request then holds in place of the body.
    pub async fn read<T: Send + 'static>(
        self,
        state: &HttpState,
        deadline: Instant,
        memory: impl FnOnce(&[u8]) -> usize + Send + 'static,
        read: impl FnOnce(&[u8]) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<(T, RequestContext), ServiceError> {
        let Self { body, context, .. } = self;
        let client = context.client();
        let (bytes, budget) = (body.len(), state.inflight.of(client));
        let work = move || {
            let held = budget.reserve(memory(&body))?;
            Ok::<_, ServiceError>((read(&body)?, context.holding(held)))
        };
        state
            .service
            .executor()
            .run(client, cost::parse(bytes), deadline, work)
            .await?
    }

    /// Parses the body as JSON.
    pub async fn parse<T>(self, state: &HttpState) -> Result<(T, RequestContext), ServiceError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let deadline = self.context.deadline;
        self.read(state, deadline, json::memory, json::parse).await
    }
}

/// A request with its parsed body.
pub struct JsonRequest<T, M = JsonOnly> {
    pub body: T,
    /// Length of the decompressed body.
    pub bytes: usize,
    pub context: RequestContext,
    media_types: PhantomData<M>,
}

impl<T, M> FromRequest<HttpState> for JsonRequest<T, M>
where
    T: DeserializeOwned + Send + 'static,
    M: MediaTypes,
{
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, ServiceError> {
        let received = Received::<M>::from_request(request, state).await?;
        state.service.check_load(&received.context)?;
        let bytes = received.body.len();
        let (body, context) = received.parse(state).await?;
        Ok(Self {
            body,
            bytes,
            context,
            media_types: PhantomData,
        })
    }
}

fn check_media_type<M: MediaTypes>(headers: &HeaderMap) -> Result<(), ServiceError> {
    let refused = |found: String| Err(ServiceError::UnsupportedMediaType { found });
    if let Some(encoding) = headers
        .get(CONTENT_ENCODING)
        .filter(|encoding| *encoding != "identity")
    {
        return refused(format!(
            "its content-encoding is {}",
            quoted(&String::from_utf8_lossy(encoding.as_bytes()))
        ));
    }
    let content_type = headers.get(CONTENT_TYPE);
    let media_type = MediaType::from_header(content_type);
    let is_accepted = match media_type {
        MediaType::Json => true,
        MediaType::Undeclared | MediaType::Form => M::TAKES_UNDECLARED,
        MediaType::Binary => M::TAKES_BINARY,
        MediaType::Other => false,
    };
    if is_accepted {
        return Ok(());
    }
    let value = content_type.map(HeaderValue::as_bytes).unwrap_or_default();
    if media_type == MediaType::Undeclared {
        return refused("the request has no content-type".to_owned());
    }
    refused(format!(
        "its content-type is {}",
        quoted(&String::from_utf8_lossy(value))
    ))
}
