//! The errors in the document: a shared response for each status, with an example of each code. The examples are made
//! from the errors themselves.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::schema::{answer, one_of_names, string};
use crate::access::Limited;
use crate::error::ServiceError;
use crate::limits::Limits;
use crate::task::Task;

/// Each status, the name of its response in `components/responses`, and the response's description.
const STATUSES: &[(u16, &str, &str)] = &[
    (
        400,
        "BadRequest",
        "The body is not valid JSON, or a value in it has the wrong type.",
    ),
    (
        401,
        "Unauthorized",
        "The server needs a key, and the request has none that is valid.",
    ),
    (
        403,
        "Forbidden",
        "The key is not for this, or the server does not do this for anybody.",
    ),
    (404, "NotFound", "The model or the route does not exist."),
    (
        413,
        "ContentTooLarge",
        "The body exceeds this server's size limit.",
    ),
    (
        415,
        "UnsupportedMediaType",
        "The body's content type or content encoding is not supported.",
    ),
    (
        422,
        "UnprocessableContent",
        "The request is well-formed but contains a value that can't be used.",
    ),
    (
        429,
        "TooManyRequests",
        "The model's queue is full, or a limit of the key is reached. Try again after the time in `retry-after`.",
    ),
    (
        500,
        "InternalServerError",
        "An internal error. The server's log has the cause, under this answer's `x-request-id`.",
    ),
    (
        503,
        "ServiceUnavailable",
        "The server is overloaded, or the server or the model is not ready. Try again after the time in `retry-after`.",
    ),
    (
        504,
        "GatewayTimeout",
        "The request's deadline passed before the answer was ready.",
    ),
];

/// A reference to the response for a status.
pub fn reference(status: u16) -> Value {
    let name = STATUSES
        .iter()
        .find(|(known, ..)| *known == status)
        .map_or("InternalServerError", |(_, name, _)| name);
    json!({"$ref": format!("#/components/responses/{name}")})
}

/// `components/responses`.
pub fn responses(limits: &Limits) -> Value {
    let samples = samples(limits);
    let response = |(status, name, description): &(u16, &'static str, &'static str)| {
        let with_status = || {
            samples
                .iter()
                .filter(|error| error.http_status() == *status)
        };
        let codes: Vec<&str> = codes(with_status());
        let examples: Map<String, Value> = with_status()
            .map(|error| (error.code().to_owned(), json!({"value": body(error)})))
            .collect();
        let mut headers = json!({"x-request-id": {"$ref": "#/components/headers/RequestId"}});
        if matches!(status, 429 | 503) {
            headers["retry-after"] = json!({"$ref": "#/components/headers/RetryAfter"});
        }
        let schema = json!({"allOf": [
            super::schema::reference("Error"),
            {"properties": {"code": one_of_names(&codes)}},
        ]});
        let response = json!({
            "description": description,
            "headers": headers,
            "content": {"application/json": {"schema": schema, "examples": examples}},
        });
        ((*name).to_owned(), response)
    };
    Value::Object(STATUSES.iter().map(response).collect())
}

/// The schema of every error's body.
pub fn schema(limits: &Limits) -> Value {
    answer("The error of a request that failed.")
        .required(
            "error",
            string(),
            "A message for people: what is wrong, where, and what to do.",
        )
        .required(
            "code",
            one_of_names(&codes(samples(limits).iter())),
            "The error's stable name, for programs.",
        )
        .into()
}

fn body(error: &ServiceError) -> Value {
    json!({"error": error.to_string(), "code": error.code()})
}

/// Each code once, in the order of the table.
fn codes<'e>(errors: impl Iterator<Item = &'e ServiceError>) -> Vec<&'static str> {
    let mut codes: Vec<&'static str> = errors.map(ServiceError::code).collect();
    codes.dedup();
    codes
}

/// One example error per code.
pub(super) fn samples(limits: &Limits) -> Vec<ServiceError> {
    [of_the_request(limits), of_the_server()].concat()
}

/// Errors for which the request has to change.
fn of_the_request(limits: &Limits) -> Vec<ServiceError> {
    let model = || "electra-base-sst2".to_owned();
    vec![
        ServiceError::InvalidJson {
            reason: "EOF while parsing an object at line 1 column 9".to_owned(),
        },
        ServiceError::InvalidUtf8 { position: 17 },
        ServiceError::InvalidType {
            place: "`text[1]`".to_owned(),
            reason: "invalid type: null, expected a string".to_owned(),
        },
        ServiceError::ModelNotFound {
            name: "electra-large".to_owned(),
            available: vec![model()],
        },
        ServiceError::RouteNotFound {
            path: "/clasify".to_owned(),
            hint: "Did you mean POST /classify?".to_owned(),
        },
        ServiceError::MethodNotAllowed {
            path: "/classify".to_owned(),
            method: "GET".to_owned(),
        },
        ServiceError::BodyTooLarge {
            limit: limits.max_body_bytes,
        },
        ServiceError::UnsupportedMediaType {
            found: "its content-type is text/plain".to_owned(),
        },
        ServiceError::MissingField {
            place: "The body".to_owned(),
            field: "text".to_owned(),
        },
        ServiceError::UnknownField {
            place: "The body".to_owned(),
            field: "treshold".to_owned(),
            hint: "Did you mean `threshold`?".to_owned(),
        },
        ServiceError::InvalidValue {
            place: "`threshold`".to_owned(),
            reason: "invalid value: floating point `1.5`, expected a number from 0 to 1".to_owned(),
        },
        ServiceError::InvalidHeader {
            header: "x-request-priority",
            reason: "it must be 1 (highest), 2, 3, 4 or 5".to_owned(),
        },
        ServiceError::EmptyInput { place: "text" },
        ServiceError::TooManyInputs {
            place: "text",
            count: limits.max_inputs.saturating_add(1),
            limit: limits.max_inputs,
        },
        ServiceError::EmptyText {
            place: "text[3]".to_owned(),
        },
        ServiceError::TextTooLong {
            place: "text[3]".to_owned(),
            length: limits.max_text_bytes.saturating_add(1),
            limit: limits.max_text_bytes,
        },
        ServiceError::TooManyTokens {
            place: "text[3]".to_owned(),
            length: 700,
            limit: 512,
        },
        ServiceError::QuestionTooLong {
            place: "items[3].question".to_owned(),
            length: 400,
            limit: 333,
        },
        ServiceError::WrongTask {
            model: model(),
            task: Task::Classify,
            wanted: Task::Tag,
        },
    ]
}

/// Errors for which the request has to be sent later, with another key, or elsewhere.
fn of_the_server() -> Vec<ServiceError> {
    let model = || "electra-base-sst2".to_owned();
    vec![
        ServiceError::QueueFull {
            retry_after: Duration::from_secs(1),
        },
        ServiceError::DeadlineTooShort {
            needed: Duration::from_secs(40),
            retry_after: Duration::from_secs(10),
        },
        ServiceError::PermissionDenied {
            reason: "only administrators may set a request's priority on this server".to_owned(),
        },
        ServiceError::Unauthenticated {
            reason: "This server needs a key.",
        },
        ServiceError::RateLimited {
            limit: Limited::Requests,
            retry_after: Duration::from_secs(1),
        },
        ServiceError::CrossSite,
        ServiceError::unknown_host(Some("other.example.com")),
        ServiceError::Internal,
        ServiceError::Overloaded,
        ServiceError::NotReady {
            reason: format!("the model `{}` is loading", model()),
        },
        ServiceError::Draining,
        ServiceError::ModelUnavailable {
            model: model(),
            reason: "Its tokenizer.json is no JSON.".to_owned(),
        },
        ServiceError::ModelUnloaded { model: model() },
        ServiceError::TooManyConnections,
        ServiceError::DeadlineExceeded,
    ]
}
