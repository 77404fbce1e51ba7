//! POST /v2/models/{name}/infer.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::answer::{self, Delivery};
use super::{Addressed, body};
use crate::error::ServiceError;
use crate::http::HttpState;
use crate::http::compression::Compressible;
use crate::http::json_request::{JsonOrBinary, Received};
use crate::http::respond::{served_by, with_timings};
use crate::service::oip::InferRequest;
use crate::service::{Answer, Invocation, RequestContext, cost};

/// Header with the length of the JSON, in bytes, when binary data follows it.
const JSON_LENGTH: &str = "inference-header-content-length";

pub async fn infer(
    State(http): State<HttpState>,
    model: Addressed,
    received: Received<JsonOrBinary>,
) -> Response {
    let target = http.service.find_any(&model.address);
    let name = target.name.clone();
    let answer = async {
        let (request, delivery, context) = read(&http, model, received).await?;
        let invocation = Invocation::new(request, target);
        let Answer { output, timings } = invocation.run(&http.service, &context).await?;
        let bytes = output.size();
        let tensors = context.reserve(output.memory())?;
        let write = move || {
            let _tensors = tensors;
            answer::write(&output, &delivery)
        };
        let written = http
            .service
            .executor()
            .run(context.client(), cost::write(bytes), context.latest, write)
            .await??;
        let held = context.into_answer(written.body.len())?;
        Ok::<_, ServiceError>((held.keep(written.body), written.json_length, timings))
    };
    let response = match answer.await {
        Ok((body, json_length, timings)) => with_timings(respond(body, json_length), timings),
        Err(error) => error.into_response(),
    };
    served_by(response, name)
}

/// Reads the request, and which outputs it wants as binary data.
async fn read(
    http: &HttpState,
    model: Addressed,
    received: Received<JsonOrBinary>,
) -> Result<(InferRequest, Delivery, RequestContext), ServiceError> {
    http.service.check_load(&received.context)?;
    let json_length = json_length(&received.headers, received.body.len())?;
    let memory = move |body: &[u8]| body::memory(body, json_length);
    let read = move |body: &[u8]| body::read(&model, body, json_length);
    let latest = received.context.latest;
    let (request, context) = received.read(http, latest, memory, read).await?;
    let delivery = Delivery::of(&request)?;
    Ok((request, delivery, context))
}

/// The length of the JSON in bytes. `None` without the header.
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

fn respond(body: Bytes, json_length: Option<usize>) -> Response {
    let mut response = match json_length {
        Some(length) => (
            [
                (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
                (JSON_LENGTH, length.to_string()),
            ],
            body,
        )
            .into_response(),
        None => ([(CONTENT_TYPE, "application/json")], body).into_response(),
    };
    response.extensions_mut().insert(Compressible);
    response
}
