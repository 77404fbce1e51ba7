//! POST /models/{name}, GET /models/{name}/health and /info: the routes that Hugging Face's clients expect of an
//! endpoint.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;

use super::HttpState;
use super::health::{Health, READY};
use super::json_request::{JsonOrUndeclared, JsonRequest};
use super::models::decoded;
use super::respond::ResponseBounds;
use crate::error::ServiceError;
use crate::service::huggingface::{EndpointInfo, PipelineCall, PipelineRequest};

pub async fn pipeline(
    State(http): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
    request: JsonRequest<PipelineRequest, JsonOrUndeclared>,
) -> Response {
    let JsonRequest {
        body,
        bytes,
        context,
        ..
    } = request;
    let call = PipelineCall {
        model: decoded(name),
        request: body,
        bytes,
    };
    http.answer(call, ResponseBounds { bytes, context }).await
}

pub async fn health(
    State(http): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Health>, ServiceError> {
    http.service.endpoint_health(&decoded(name))?;
    Ok(Json(READY))
}

pub async fn info(
    State(http): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<EndpointInfo>, ServiceError> {
    http.service.endpoint_info(&decoded(name)).map(Json)
}
