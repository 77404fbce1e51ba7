//! POST /v2/models/{name}/infer.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::answer::{self, Delivery, Written};
use super::{Addressed, body};
use crate::error::ServiceError;
use crate::http::HttpState;
use crate::http::compression::Compressible;
use crate::http::posted::{JsonOrBinary, Received};
use crate::http::respond::{ServedBy, Timed};
use crate::service::Timings;

/// The header that says how long the JSON is that binary data follows.
const JSON_LENGTH: &str = "inference-header-content-length";

pub async fn infer(
    State(http): State<HttpState>,
    model: Addressed,
    received: Received<JsonOrBinary>,
) -> Response {
    let served_by = http.service.registry().find(&model.address);
    let mut response = match answer(&http, model, received).await {
        Ok((written, timings)) => respond(written).timed(timings),
        Err(error) => error.into_response(),
    };
    if let Some(name) = served_by {
        response.extensions_mut().insert(ServedBy(name));
    }
    response
}

async fn answer(
    http: &HttpState,
    model: Addressed,
    received: Received<JsonOrBinary>,
) -> Result<(Written, Timings), ServiceError> {
    let Received {
        headers,
        body,
        context,
        ..
    } = received;
    let json_length = json_length(&headers, body.len())?;
    let bytes = body.len();
    let read = move || body::read(&model, &body, json_length);
    let request = http.service.compute(bytes, context.latest, read).await??;
    let delivery = Delivery::of(&request)?;
    let response = http.service.infer(request, &context).await?;
    let timings = response.timings;
    let size = response.outputs.iter().map(|output| output.data().size());
    let write = {
        let bytes = size.sum();
        let write = move || answer::write(&response, &delivery);
        http.service.compute(bytes, context.latest, write)
    };
    Ok((write.await??, timings))
}

/// How much of a body is JSON, where the header says.
fn json_length(headers: &HeaderMap, body: usize) -> Result<Option<usize>, ServiceError> {
    let Some(value) = headers.get(JSON_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    match length.filter(|length| *length <= body) {
        Some(length) => Ok(Some(length)),
        None => Err(ServiceError::InvalidHeader {
            header: JSON_LENGTH,
            reason: format!(
                "it must be the length of the body's JSON in bytes, at most that of the whole body, {body}"
            ),
        }),
    }
}

fn respond(written: Written) -> Response {
    let mut response = match written.json_length {
        Some(length) => (
            [
                (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
                (JSON_LENGTH, length.to_string()),
            ],
            written.body,
        )
            .into_response(),
        None => ([(CONTENT_TYPE, "application/json")], written.body).into_response(),
    };
    response.extensions_mut().insert(Compressible);
    response
}
