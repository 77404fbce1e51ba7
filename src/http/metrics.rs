//! GET /metrics.

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;

use super::HttpState;
use crate::error::ServiceError;
use crate::telemetry::metrics;

pub async fn metrics(
    State(http): State<HttpState>,
) -> Result<([(HeaderName, &'static str); 1], String), ServiceError> {
    http.metrics.set_inflight_bytes(http.inflight.held());
    let exposition = http.metrics.encode().map_err(ServiceError::internal)?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], exposition))
}
