//! GET /metrics. With hundreds of models, writing them takes milliseconds: it has a thread of its own, which requests
//! can't occupy.

use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use tokio::time::Instant;

use super::HttpState;
use crate::client::Sender;
use crate::error::ServiceError;
use crate::service::cost;
use crate::telemetry::metrics;

pub async fn metrics(
    State(http): State<HttpState>,
    request: Request,
) -> Result<([(HeaderName, &'static str); 1], String), ServiceError> {
    http.metrics.set_inflight_bytes(http.inflight.held());
    let metrics = http.metrics.clone();
    let client = Sender::of(request.extensions()).client;
    let deadline = Instant::now() + http.timeouts.request;
    let encoded = http
        .scrapes
        .run(client, cost::LONG, deadline, move || metrics.encode());
    let exposition = encoded.await?.map_err(ServiceError::internal)?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], exposition))
}
