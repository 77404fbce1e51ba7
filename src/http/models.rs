//! GET /models, /models/{name}, and the Open Inference Protocol's model-repository extension: what there is, and loading
//! and unloading it.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;

use super::HttpState;
use crate::error::ServiceError;
use crate::service::ModelReport;

#[derive(Serialize)]
pub struct Models {
    models: Vec<ModelReport>,
}

pub async fn list(State(http): State<HttpState>) -> Json<Models> {
    Json(Models {
        models: http.service.models(),
    })
}

pub async fn one(
    State(http): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<ModelReport>, ServiceError> {
    http.service.model_report(&decoded(name)).map(Json)
}

/// POST /v2/repository/models/{name}/load.
pub async fn load(
    State(http): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Empty>, ServiceError> {
    http.service.load_model(&decoded(name)).await?;
    Ok(Json(Empty {}))
}

/// POST /v2/repository/models/{name}/unload.
pub async fn unload(
    State(http): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Empty>, ServiceError> {
    http.service.unload_model(&decoded(name)).await?;
    Ok(Json(Empty {}))
}

/// An answer that says nothing but that it was done.
#[derive(Serialize)]
pub struct Empty {}

/// A name that is no UTF-8 once decoded is no model's.
pub fn decoded(name: Result<Path<String>, PathRejection>) -> String {
    name.map_or_else(|_| "\u{fffd}".to_owned(), |Path(name)| name)
}
