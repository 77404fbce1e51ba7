//! GET /health, /health/live, /health/ready.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::HttpState;
use crate::error::ServiceError;

/// The health of the server or of a model.
#[derive(Serialize, JsonSchema)]
pub struct Health {
    /// `ready` if requests are answered. `live` means only that the process answers.
    #[schemars(extend("enum" = ["live", "ready"]))]
    status: &'static str,
}

/// Answer when the server or the endpoint is ready.
pub const READY: Health = Health { status: "ready" };

/// Always 200 while the process answers. Failed models don't count, because restarting would not help them.
pub async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// 503 with the reason if requests would not be answered.
pub async fn ready(State(http): State<HttpState>) -> Result<Json<Health>, ServiceError> {
    http.service.readiness()?;
    Ok(Json(READY))
}
