//! Turns the service's answers and errors into HTTP responses.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::state::HttpState;
use crate::error::{ServiceError, seconds};
use crate::service::{Answer, Operation, RequestContext, Timings, cost, json};

/// Response extension: the model that answered, for the metrics' label.
#[derive(Clone, Debug)]
pub struct ServedBy(pub Arc<str>);

/// Response extension: the error, as somebody is told who may know nothing of the models.
#[derive(Clone, Debug)]
struct WithoutDetails(ServiceError);

#[derive(Serialize)]
struct ErrorBody {
    error: String,
    code: &'static str,
}

/// Bounds on writing a response.
pub struct ResponseBounds {
    /// Length of the request's body. Answers grow with it, so it decides where they are serialized.
    pub bytes: usize,
    pub context: RequestContext,
}

impl HttpState {
    /// Runs an operation and answers in JSON.
    pub async fn answer<O: Operation<Output: Serialize>>(
        &self,
        operation: O,
        ResponseBounds { bytes, context }: ResponseBounds,
    ) -> Response {
        let invocation = self.service.invoke(operation);
        let model = invocation.model();
        let answer = async {
            let Answer { output, timings } = invocation.run(&self.service, &context).await?;
            let write = move || json::write(&output);
            let executor = self.service.executor();
            let body = executor
                .run(
                    context.client(),
                    cost::write(bytes),
                    context.deadline,
                    write,
                )
                .await??;
            let held = context.into_answer(body.len())?;
            Ok::<_, ServiceError>((held.keep(body.into_bytes()), timings))
        };
        let response = match answer.await {
            Ok((body, timings)) => {
                let response = ([(CONTENT_TYPE, "application/json")], body).into_response();
                with_timings(response, timings)
            }
            Err(error) => error.into_response(),
        };
        served_by(response, model)
    }
}

/// Marks a response with its model. [`super::observe`] removes the mark.
pub fn served_by(mut response: Response, model: Option<Arc<str>>) -> Response {
    if let Some(model) = model {
        response.extensions_mut().insert(ServedBy(model));
    }
    response
}

/// The same answer for somebody who may know no more of the models than whether they are ready.
pub fn without_details(mut response: Response) -> Response {
    match response.extensions_mut().remove() {
        Some(WithoutDetails(error)) => error.into_response(),
        None => response,
    }
}

/// Adds the header `server-timing`.
pub fn with_timings(mut response: Response, timings: Timings) -> Response {
    if let Ok(value) = HeaderValue::try_from(timings.to_string()) {
        let name = HeaderName::from_static(Timings::HEADER);
        response.headers_mut().insert(name, value);
    }
    response
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
            && let Ok(value) = HeaderValue::try_from(seconds(wait).to_string())
        {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        if matches!(self, Self::Unauthenticated { .. }) {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        if let Some(shorter) = self.without_details() {
            response.extensions_mut().insert(WithoutDetails(shorter));
        }
        response
    }
}
