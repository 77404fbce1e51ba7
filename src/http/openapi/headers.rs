//! What the routes share beside bodies: parameters, and the headers of requests and answers.

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
            "The request's id, in its answer and in the log. One is made where it is absent, or is no printable ASCII of 1 to 128 \
             characters.",
            string(),
            json!("order-4711"),
        ),
        "TraceParent": header(
            "traceparent",
            "W3C Trace Context; its ids are in the log. One that is malformed is ignored.",
            string(),
            json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
        "RequestTimeout": header(
            "x-request-timeout-ms",
            "How long the answer is waited for, in milliseconds. What has not begun by then is not computed.",
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
            "1, the highest, to 5. A lower priority waits as long as a higher one has work.",
            json!({"type": "integer", "minimum": 1, "maximum": 5, "default": 3}),
            json!(3),
        ),
        "InferenceHeaderContentLength": {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "description": "How many bytes of the body are JSON, where binary data follows it.",
            "schema": count(),
        },
        "ModelName": path(
            "name",
            "A model's name or one of its aliases.",
            string(),
            "electra-mini-sentiment",
        ),
        "PipelineName": {
            "name": "name",
            "in": "path",
            "required": true,
            "description": "The name or an alias of a model that has a pipeline, or either with `@` and a version.",
            "schema": string(),
            "examples": huggingface::example_models(),
        },
        "ModelVersion": path(
            "version",
            "One of the model's versions.",
            string(),
            "1",
        ),
        "DocsFile": path(
            "file",
            "The name of the file.",
            json!({"type": "string", "enum": docs::file_names()}),
            "page.js",
        ),
    })
}

/// `components/headers`.
pub fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "The request's id: the one that it brought, or a new one.",
            "required": true,
            "schema": string(),
        },
        "ServerTiming": {
            "description": "What tokenization, waiting and inference took, in milliseconds.",
            "required": true,
            "schema": string(),
            "example": "tokenize;dur=0.081, queue;dur=0.012, inference;dur=3.407",
        },
        "InferenceHeaderContentLength": {
            "description": "How many bytes of the body are JSON, where binary data follows it.",
            "schema": count(),
        },
        "RetryAfter": {
            "description": "Seconds after which to try again.",
            "required": true,
            "schema": {"type": "integer", "minimum": 1},
        },
    })
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
