//! Routes for operators in the document: health, metrics, the document itself and its page.

use serde_json::{Value, json};

use super::operation::{Operation, example};
use super::schema::{answer, string, with};
use super::tags::OPERATIONS;

/// GET /health, /health/live, /health/ready, /metrics, /openapi.json, /docs, /docs/{file}.
pub fn operations() -> Vec<Operation> {
    let mut operations = health();
    operations.extend(documents());
    operations
}

fn health() -> Vec<Operation> {
    let ready = |path, id| {
        Operation::get(path, id, OPERATIONS)
            .says(
                "Check readiness",
                "Returns 200 if requests are answered. Returns 503 with the reason while a model that was present at \
                 startup is loading, if such a model failed to load, or once the server is shutting down.",
            )
            .answers("The server is ready.", "Health", vec![example("ready", "Ready", json!({"status": "ready"}))])
            .fails_with(&[503])
    };
    vec![
        ready("/health", "health"),
        ready("/health/ready", "healthReady"),
        Operation::get("/health/live", "healthLive", OPERATIONS)
            .says(
                "Check liveness",
                "Returns 200 as long as the process answers. Models that failed to load don't count, because a \
                 restart would not help them.",
            )
            .answers(
                "The server is live.",
                "Health",
                vec![example("live", "Live", json!({"status": "live"}))],
            )
            .fails_with(&[]),
    ]
}

fn documents() -> Vec<Operation> {
    let file = json!({"schema": string()});
    vec![
        Operation::get("/metrics", "metrics", OPERATIONS)
            .says("Get metrics for Prometheus", "Counters, gauges and histograms, in the OpenMetrics text format.")
            .answers_in("The metrics.", &[("application/openmetrics-text", file.clone())])
            .fails_with(&[]),
        Operation::get("/openapi.json", "openapi", OPERATIONS)
            .says(
                "Get this document",
                "This server's requests and answers as an OpenAPI 3.1 document, with the server's limits.",
            )
            .answers("The document.", "Document", Vec::new())
            .fails_with(&[]),
        Operation::get("/docs", "docs", OPERATIONS)
            .says(
                "Browse this document",
                "A page to read this document and try its operations. It loads nothing from other servers, so it \
                 works offline.",
            )
            .answers_in("The page.", &[("text/html", file.clone())])
            .fails_with(&[]),
        Operation::get("/docs/{file}", "docsFile", OPERATIONS)
            .says("Get a file of the page", "The page's scripts and styles.")
            .parameters(&["DocsFile"])
            .answers_in("The file.", &[("text/css", file.clone()), ("text/javascript", file)])
            .fails_with(&[404]),
    ]
}

/// Handwritten schemas, by name.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let document = answer("An OpenAPI document. Only its required fields are described.")
        .required("openapi", string(), "The OpenAPI version.")
        .required("info", json!({"type": "object"}), "Metadata of this API.")
        .required("paths", json!({"type": "object"}), "The routes.");
    vec![(
        "Document",
        with(document.into(), "additionalProperties", true),
    )]
}
