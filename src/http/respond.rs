//! Answers and errors of the service -> HTTP responses.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::HttpState;
use super::context::retry_after;
use crate::error::ServiceError;
use crate::service::{Answer, RequestContext, Timings, json};

/// Says, as a response's extension, which model it is of: the label of the request's metrics.
#[derive(Clone, Debug)]
pub struct ServedBy(pub Arc<str>);

#[derive(Serialize)]
struct ErrorBody {
    error: String,
    code: &'static str,
}

/// What the response to a request depends on, beside its answer.
pub struct Asked {
    /// The model that the request is for, where there is such a one.
    pub model: Option<Arc<str>>,
    /// Length of the request's body: answers grow with it.
    pub bytes: usize,
    /// What its headers say.
    pub context: RequestContext,
}

impl HttpState {
    /// The response to a task's request.
    pub async fn respond<R: Serialize + Send + 'static>(
        &self,
        asked: Asked,
        outcome: Result<Answer<R>, ServiceError>,
    ) -> Response {
        let outcome = outcome.map(|answer| (answer.timings, move || json::write(&answer)));
        self.respond_with(asked, outcome).await
    }

    /// The response to a request, given where its time went and what writes its body.
    pub async fn respond_with(
        &self,
        asked: Asked,
        outcome: Result<(Timings, impl WriteBody), ServiceError>,
    ) -> Response {
        let mut response = match outcome {
            Ok((timings, write)) => {
                let written = self
                    .service
                    .compute(asked.bytes, asked.context.deadline, write)
                    .await;
                match written.flatten() {
                    Ok(body) => ([(CONTENT_TYPE, "application/json")], body)
                        .into_response()
                        .timed(timings),
                    Err(error) => error.into_response(),
                }
            }
            Err(error) => error.into_response(),
        };
        if let Some(model) = asked.model {
            response.extensions_mut().insert(ServedBy(model));
        }
        response
    }
}

/// Writes a response's body as JSON.
pub trait WriteBody: FnOnce() -> Result<String, ServiceError> + Send + 'static {}

impl<F: FnOnce() -> Result<String, ServiceError> + Send + 'static> WriteBody for F {}

/// A response that says where its time went.
pub trait Timed {
    fn timed(self, timings: Timings) -> Self;
}

impl Timed for Response {
    /// Adds the header server-timing.
    fn timed(mut self, timings: Timings) -> Self {
        if let Ok(value) = HeaderValue::try_from(timings.to_string()) {
            self.headers_mut()
                .insert(HeaderName::from_static(Timings::HEADER), value);
        }
        self
    }
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (
            status,
            Json(ErrorBody {
                error: self.to_string(),
                code: self.code(),
            }),
        )
            .into_response();
        if let Some(wait) = self.retry_after()
            && let Ok(value) = HeaderValue::try_from(retry_after(wait))
        {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        response
    }
}
