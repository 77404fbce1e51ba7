//! The body of a request: media type, size and deadline checked; JSON parsed.

use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::body;
use super::compression::Decompressed;
use super::context::request_context;
use super::media_type::MediaType;
use super::state::HttpState;
use crate::error::ServiceError;
use crate::quote::quoted;
use crate::service::{RequestContext, json};

/// So much of a body that is too long is read and thrown away before it is refused: a client that writes it all before
/// it reads then sees the answer and not a broken connection.
const DISCARDED_BYTES: usize = 64 << 20;
/// The same of a body that grows when it is decompressed, which costs what it grows to.
const DISCARDED_DECOMPRESSED_BYTES: usize = 16 << 20;

/// What a body may be declared as.
pub trait MediaTypes: Send {
    /// Whether JSON may be declared as nothing at all, or as the form that curl says of any data. Other servers of these
    /// protocols read such bodies. A page of another origin can send them too, without asking first.
    const TAKES_UNDECLARED: bool;
    /// Whether binary data may follow the JSON.
    const TAKES_BINARY: bool;
}

/// JSON and nothing else.
pub struct JsonOnly;

impl MediaTypes for JsonOnly {
    const TAKES_UNDECLARED: bool = false;
    const TAKES_BINARY: bool = false;
}

/// JSON, whether declared or not.
pub struct JsonOrUndeclared;

impl MediaTypes for JsonOrUndeclared {
    const TAKES_UNDECLARED: bool = true;
    const TAKES_BINARY: bool = false;
}

/// JSON, whether declared or not, with binary data behind it or without.
pub struct JsonOrBinary;

impl MediaTypes for JsonOrBinary {
    const TAKES_UNDECLARED: bool = true;
    const TAKES_BINARY: bool = true;
}

/// A request's body as it came, decompressed.
pub struct Received<M> {
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// What the headers say.
    pub context: RequestContext,
    media_types: PhantomData<M>,
}

impl<M: MediaTypes> FromRequest<HttpState> for Received<M> {
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, ServiceError> {
        if state.service.is_draining() {
            return Err(ServiceError::Draining);
        }
        let context = request_context(request.headers(), &state.timeouts, Instant::now())?;
        check_media_type::<M>(request.headers())?;
        let limit = state.service.limits().max_body_bytes;
        let discarded = match request.extensions().get::<Decompressed>() {
            Some(Decompressed) => DISCARDED_DECOMPRESSED_BYTES,
            None => DISCARDED_BYTES,
        };
        let (parts, body) = request.into_parts();
        let body = timeout_at(
            context.deadline,
            body::read(&parts.headers, body, limit, discarded),
        )
        .await
        .map_err(|_| ServiceError::DeadlineExceeded)??;
        Ok(Self {
            headers: parts.headers,
            body,
            context,
            media_types: PhantomData,
        })
    }
}

/// A parsed request.
pub struct JsonRequest<T, M = JsonOnly> {
    /// The body.
    pub body: T,
    /// How long it was.
    pub bytes: usize,
    /// What the headers say.
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
        let Received { body, context, .. } = received;
        let bytes = body.len();
        let parse = move || json::parse(&body);
        let body = (state.service.executor())
            .run(bytes, context.deadline, parse)
            .await??;
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
