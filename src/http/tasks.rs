//! POST /discriminate, /classify, /tag, /qa: one route per task.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json_request::JsonRequest;
use super::respond::ResponseBounds;
use super::state::HttpState;
use crate::service::Operation;

/// Runs the operation that is the request's body.
pub async fn answer<O>(State(http): State<HttpState>, request: JsonRequest<O>) -> Response
where
    O: Operation<Output: Serialize> + DeserializeOwned,
{
    let JsonRequest {
        body,
        bytes,
        context,
        ..
    } = request;
    http.answer(body, ResponseBounds { bytes, context }).await
}
