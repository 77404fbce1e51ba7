//! Components that routes share besides bodies: parameters, and headers of requests and answers.

use serde_json::{Value, json};

use super::huggingface;
use super::schema::{count, string};
use crate::http::docs;
use crate::limits::Timeouts;

/// `components/parameters`.
pub fn parameters(timeouts: &Timeouts) -> Value {
    let header = |name: &str, description: &str, schema: Value, example: Value| json!({"name": name, "in": "header", "description": description, "schema": schema, "example": example});
    let path = |name: &str, description: &str, schema: Value, example: &str| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": description,
            "schema": schema,
            "example": example,
        })
    };
    json!({
        "RequestId": header(
            "x-request-id",
            "The request's id, repeated in the answer and in the log. If it is absent or not 1 to 128 printable ASCII \
             characters, the server generates one.",
            string(),
            json!("order-4711"),
        ),
        "TraceParent": header(
            "traceparent",
            "W3C Trace Context. Its ids appear in the log. A malformed value is ignored.",
            string(),
            json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
        "RequestTimeout": header(
            "x-request-timeout-ms",
            "The time limit for the answer, in milliseconds. Work that has not started by then is not computed.",
            json!({
                "type": "integer",
                "minimum": 1,
                "maximum": milliseconds(timeouts.max_request),
                "default": milliseconds(timeouts.request),
            }),
            json!(5000),
        ),
        "RequestPriority": header(
            "x-request-priority",
            "The priority, from 1 (highest) to 5 (lowest). Lower priorities wait as long as a higher one has work.",
            json!({"type": "integer", "minimum": 1, "maximum": 5, "default": 3}),
            json!(3),
        ),
        "InferenceHeaderContentLength": {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "description": "The length of the JSON in bytes, if binary data follows it in the body.",
            "schema": count(),
        },
        "ModelName": path(
            "name",
            "A model's name or alias.",
            string(),
            "electra-mini-sentiment",
        ),
        "PipelineName": {
            "name": "name",
            "in": "path",
            "required": true,
            "description": "The name or an alias of a model that has a pipeline, optionally followed by `@` and a \
                            version.",
            "schema": string(),
            "examples": huggingface::example_models(),
        },
        "ModelVersion": path(
            "version",
            "A version of the model.",
            string(),
            "1",
        ),
        "DocsFile": path(
            "file",
            "The file's name.",
            json!({"type": "string", "enum": docs::file_names()}),
            "page.js",
        ),
    })
}

/// `components/headers`.
pub fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "The request's id: the one that was sent, or a generated one.",
            "required": true,
            "schema": string(),
        },
        "ServerTiming": {
            "description": "The times of tokenization, queueing and inference, in milliseconds.",
            "required": true,
            "schema": string(),
            "example": "tokenize;dur=0.081, queue;dur=0.012, inference;dur=3.407",
        },
        "InferenceHeaderContentLength": {
            "description": "The length of the JSON in bytes, if binary data follows it in the body.",
            "schema": count(),
        },
        "RetryAfter": {
            "description": "The number of seconds to wait before trying again.",
            "required": true,
            "schema": {"type": "integer", "minimum": 1},
        },
    })
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
