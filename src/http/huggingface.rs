//! POST /models/{name}, GET /models/{name}/health and /info: what Hugging Face's clients send to an endpoint.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;

use super::HttpState;
use super::health::{Health, READY};
use super::models::decoded;
use super::posted::{JsonOrUndeclared, Posted};
use super::respond::Asked;
use crate::error::ServiceError;
use crate::service::huggingface::{EndpointInfo, PipelineRequest};
use crate::service::json;

pub async fn pipeline(
    State(http): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
    posted: Posted<PipelineRequest, JsonOrUndeclared>,
) -> Response {
    let name = decoded(name);
    let asked = Asked {
        model: http.service.registry().find(&name),
        bytes: posted.bytes,
        context: posted.context,
    };
    let outcome = http
        .service
        .pipeline(&name, posted.body, &posted.context)
        .await;
    let outcome = outcome.map(|piped| (piped.timings, move || json::to_string(&piped.output)));
    http.respond_with(asked, outcome).await
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
