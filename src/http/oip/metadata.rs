//! GET /v2 and below: metadata, readiness, configuration and statistics of the server and its models.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::Addressed;
use crate::error::ServiceError;
use crate::http::HttpState;
use crate::service::oip::{ModelMetadata, ServerMetadata, StatisticsReport, TritonConfig};

/// The server's liveness.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerLive")]
pub struct Live {
    /// Always true.
    #[schemars(extend("const" = true))]
    live: bool,
}

/// The server's readiness.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerReady")]
pub struct Ready {
    /// Always true.
    #[schemars(extend("const" = true))]
    ready: bool,
}

/// A model's readiness.
#[derive(Serialize, JsonSchema)]
pub struct ModelReady {
    /// The model's name, as in the path.
    name: String,
    /// Always true.
    #[schemars(extend("const" = true))]
    ready: bool,
}

pub async fn server(State(http): State<HttpState>) -> Json<ServerMetadata> {
    Json(http.service.server_metadata())
}

pub async fn live() -> Json<Live> {
    Json(Live { live: true })
}

pub async fn ready(State(http): State<HttpState>) -> Result<Json<Ready>, ServiceError> {
    http.service.readiness()?;
    Ok(Json(Ready { ready: true }))
}

pub async fn model(
    State(http): State<HttpState>,
    model: Addressed,
) -> Result<Json<ModelMetadata>, ServiceError> {
    http.service.model_metadata(&model.address).map(Json)
}

pub async fn model_ready(
    State(http): State<HttpState>,
    model: Addressed,
) -> Result<Json<ModelReady>, ServiceError> {
    http.service.model_readiness(&model.address)?;
    Ok(Json(ModelReady {
        name: model.name,
        ready: true,
    }))
}

pub async fn config(
    State(http): State<HttpState>,
    model: Addressed,
) -> Result<Json<TritonConfig>, ServiceError> {
    http.service.model_config(&model.address).map(Json)
}

pub async fn statistics(
    State(http): State<HttpState>,
    model: Addressed,
) -> Result<Json<StatisticsReport>, ServiceError> {
    http.service
        .model_statistics(Some(&model.address))
        .map(Json)
}

pub async fn all_statistics(
    State(http): State<HttpState>,
) -> Result<Json<StatisticsReport>, ServiceError> {
    http.service.model_statistics(None).map(Json)
}
