//! GET /health, /health/live, /health/ready.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::HttpState;
use crate::error::ServiceError;

#[derive(Serialize)]
pub struct Health {
    status: &'static str,
}

/// Who is asked answers.
pub const READY: Health = Health { status: "ready" };

/// The process answers: whatever its models do, restarting it would not help.
pub async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Requests will be answered; else the reason why not.
pub async fn ready(State(http): State<HttpState>) -> Result<Json<Health>, ServiceError> {
    http.service.readiness()?;
    Ok(Json(READY))
}
