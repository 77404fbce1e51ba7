//! POST /v2/repository/…: the model repository extension.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Addressed;
use crate::error::ServiceError;
use crate::http::HttpState;
use crate::http::json_request::{JsonOrBinary, Received};
use crate::service::json;
use crate::service::oip::{IndexEntry, Parameters, check_load_parameters, check_unload_parameters};

/// Which versions to list.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexRequest {
    /// Whether to list those alone that can be asked.
    #[schemars(extend("default" = false))]
    ready: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlRequest {
    parameters: Option<Parameters>,
}

/// An answer that says nothing but that it was done.
#[derive(serde::Serialize, JsonSchema)]
#[schemars(extend("properties" = serde_json::json!({})))]
pub struct Done {}

pub async fn index(
    State(http): State<HttpState>,
    received: Received<JsonOrBinary>,
) -> Result<Json<Vec<IndexEntry>>, ServiceError> {
    let request: IndexRequest = optional(&received)?;
    let only_ready = request.ready.unwrap_or(false);
    Ok(Json(http.service.repository_index(only_ready)))
}

pub async fn load(
    State(http): State<HttpState>,
    model: Addressed,
    received: Received<JsonOrBinary>,
) -> Result<Json<Done>, ServiceError> {
    let request: ControlRequest = optional(&received)?;
    check_load_parameters(&request.parameters.unwrap_or_default())?;
    http.service.load_model(&model.name).await?;
    Ok(Json(Done {}))
}

pub async fn unload(
    State(http): State<HttpState>,
    model: Addressed,
    received: Received<JsonOrBinary>,
) -> Result<Json<Done>, ServiceError> {
    let request: ControlRequest = optional(&received)?;
    check_unload_parameters(&request.parameters.unwrap_or_default())?;
    http.service.unload_model(&model.name).await?;
    Ok(Json(Done {}))
}

/// Parses a body that may be empty.
fn optional<T: Default + DeserializeOwned>(
    received: &Received<JsonOrBinary>,
) -> Result<T, ServiceError> {
    if received.body.is_empty() {
        return Ok(T::default());
    }
    json::parse(&received.body)
}
