//! GET /models, GET /models/{name}: the models and their state.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Serialize;

use super::HttpState;
use crate::error::ServiceError;
use crate::service::ModelReport;

/// All models.
#[derive(Serialize, JsonSchema)]
pub struct Models {
    /// The models, sorted by name.
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

/// Decodes a name from a path. A name that is not UTF-8 becomes U+FFFD, which no model is called, so the error is "not
/// found".
pub fn decoded(name: Result<Path<String>, PathRejection>) -> String {
    name.map_or_else(|_| "\u{fffd}".to_owned(), |Path(name)| name)
}
