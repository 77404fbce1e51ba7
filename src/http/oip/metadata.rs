//! GET /v2 and what is below it: what the server and its models are, whether they answer, and their figures.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Addressed;
use crate::error::ServiceError;
use crate::http::HttpState;
use crate::service::oip::{ModelMetadata, ServerMetadata, StatisticsReport, TritonConfig};

#[derive(Serialize)]
pub struct Live {
    live: bool,
}

#[derive(Serialize)]
pub struct Ready {
    ready: bool,
}

#[derive(Serialize)]
pub struct ModelReady {
    name: String,
    ready: bool,
}

/// GET /v2.
pub async fn server(State(http): State<HttpState>) -> Json<ServerMetadata> {
    Json(http.service.server_metadata())
}

/// GET /v2/health/live.
pub async fn live() -> Json<Live> {
    Json(Live { live: true })
}

/// GET /v2/health/ready.
pub async fn ready(State(http): State<HttpState>) -> Result<Json<Ready>, ServiceError> {
    http.service.readiness()?;
    Ok(Json(Ready { ready: true }))
}

/// GET /v2/models/{name}.
pub async fn model(
    State(http): State<HttpState>,
    model: Addressed,
) -> Result<Json<ModelMetadata>, ServiceError> {
    http.service.model_metadata(&model.address).map(Json)
}

/// GET /v2/models/{name}/ready.
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

/// GET /v2/models/{name}/config.
pub async fn config(
    State(http): State<HttpState>,
    model: Addressed,
) -> Result<Json<TritonConfig>, ServiceError> {
    http.service.model_config(&model.address).map(Json)
}

/// GET /v2/models/{name}/stats.
pub async fn statistics(
    State(http): State<HttpState>,
    model: Addressed,
) -> Result<Json<StatisticsReport>, ServiceError> {
    http.service
        .model_statistics(Some(&model.address))
        .map(Json)
}

/// GET /v2/models/stats.
pub async fn all_statistics(
    State(http): State<HttpState>,
) -> Result<Json<StatisticsReport>, ServiceError> {
    http.service.model_statistics(None).map(Json)
}
