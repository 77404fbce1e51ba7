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
use crate::service::oip::{IndexEntry, Parameters, check_load_parameters, check_unload_parameters};

/// Options of the index.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexRequest {
    /// Whether to list only versions that answer requests.
    #[schemars(extend("default" = false))]
    ready: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlRequest {
    parameters: Option<Parameters>,
}

/// An empty answer: the operation succeeded.
#[derive(serde::Serialize, JsonSchema)]
#[schemars(extend("properties" = serde_json::json!({})))]
pub struct Done {}

pub async fn index(
    State(http): State<HttpState>,
    received: Received<JsonOrBinary>,
) -> Result<Json<Vec<IndexEntry>>, ServiceError> {
    let request: IndexRequest = optional(&http, received).await?;
    let only_ready = request.ready.unwrap_or(false);
    Ok(Json(http.service.repository_index(only_ready)))
}

pub async fn load(
    State(http): State<HttpState>,
    model: Addressed,
    received: Received<JsonOrBinary>,
) -> Result<Json<Done>, ServiceError> {
    let requester = received.context.requester.clone();
    let request: ControlRequest = optional(&http, received).await?;
    check_load_parameters(&request.parameters.unwrap_or_default())?;
    http.service.load_model(&model.name, &requester).await?;
    Ok(Json(Done {}))
}

pub async fn unload(
    State(http): State<HttpState>,
    model: Addressed,
    received: Received<JsonOrBinary>,
) -> Result<Json<Done>, ServiceError> {
    let requester = received.context.requester.clone();
    let request: ControlRequest = optional(&http, received).await?;
    check_unload_parameters(&request.parameters.unwrap_or_default())?;
    http.service.unload_model(&model.name, &requester).await?;
    Ok(Json(Done {}))
}

/// Parses a body that may be empty.
async fn optional<T: Default + DeserializeOwned + Send + 'static>(
    http: &HttpState,
    received: Received<JsonOrBinary>,
) -> Result<T, ServiceError> {
    if received.body.is_empty() {
        return Ok(T::default());
    }
    let (request, _) = received.parse(http).await?;
    Ok(request)
}
