//! GET /models, /models/{name}: what there is.

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

/// A name that is no UTF-8 once decoded is no model's.
pub fn decoded(name: Result<Path<String>, PathRejection>) -> String {
    name.map_or_else(|_| "\u{fffd}".to_owned(), |Path(name)| name)
}
