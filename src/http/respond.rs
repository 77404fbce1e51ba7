//! Answers and errors of the service -> HTTP responses.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::context::retry_after;
use super::state::HttpState;
use crate::error::ServiceError;
use crate::service::{Answer, Operation, RequestContext, Timings, json};

/// Says, as a response's extension, which model it is of: the label of the request's metrics.
#[derive(Clone, Debug)]
pub struct ServedBy(pub Arc<str>);

#[derive(Serialize)]
struct ErrorBody {
    error: String,
    code: &'static str,
}

/// What a response may cost.
pub struct RequestCost {
    /// Length of the request's body: answers grow with it.
    pub bytes: usize,
    /// Deadline and priority.
    pub context: RequestContext,
}

impl HttpState {
    /// Answers a request in JSON.
    pub async fn answer<O: Operation<Output: Serialize>>(
        &self,
        operation: O,
        RequestCost { bytes, context }: RequestCost,
    ) -> Response {
        let invocation = self.service.invoke(operation);
        let model = invocation.model();
        let answer = async {
            let Answer { output, timings } = invocation.run(&self.service, &context).await?;
            let write = move || json::write(&output);
            let body = self
                .service
                .executor()
                .run(bytes, context.deadline, write)
                .await??;
            Ok::<_, ServiceError>((body, timings))
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

/// The response with the name of its model, which [`super::observe`] takes out again.
pub fn served_by(mut response: Response, model: Option<Arc<str>>) -> Response {
    if let Some(model) = model {
        response.extensions_mut().insert(ServedBy(model));
    }
    response
}

/// The response with the header server-timing.
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
            && let Ok(value) = HeaderValue::try_from(retry_after(wait))
        {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        response
    }
}
