//! GET /models, /models/{name}.

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

/// A name that is no UTF-8 once decoded is no model's.
pub async fn one(
    State(http): State<HttpState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<ModelReport>, ServiceError> {
    let name = name.map_or_else(|_| "\u{fffd}".to_owned(), |Path(name)| name);
    http.service.model_report(&name).map(Json)
}
