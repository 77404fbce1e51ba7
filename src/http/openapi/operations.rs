//! The routes for who runs the server, in the document: health, metrics, the document itself and its page.

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
                "Whether requests will be answered",
                "Not while a model that was there at the start is loading, or where it could not be loaded, nor once the server is \
                 stopping; the error says which.",
            )
            .answers("They will.", "Health", vec![example("ready", "Ready", json!({"status": "ready"}))])
            .fails_with(&[503])
    };
    vec![
        ready("/health", "health"),
        ready("/health/ready", "healthReady"),
        Operation::get("/health/live", "healthLive", OPERATIONS)
            .says(
                "Whether the process answers",
                "It does, whatever its models do: restarting it would not help them.",
            )
            .answers(
                "It does.",
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
            .says("Metrics for Prometheus", "Counters, gauges and histograms, as OpenMetrics text.")
            .answers_in("The metrics.", &[("application/openmetrics-text", file.clone())])
            .fails_with(&[]),
        Operation::get("/openapi.json", "openapi", OPERATIONS)
            .says(
                "This document",
                "What this server takes and answers, as OpenAPI 3.1, with the limits that it runs with.",
            )
            .answers("The document.", "Document", Vec::new())
            .fails_with(&[]),
        Operation::get("/docs", "docs", OPERATIONS)
            .says("A page to read and try this document", "It loads nothing from elsewhere, so it works offline.")
            .answers_in("The page.", &[("text/html", file.clone())])
            .fails_with(&[]),
        Operation::get("/docs/{file}", "docsFile", OPERATIONS)
            .says("What the page is made of", "Its scripts and its style.")
            .parameters(&["DocsFile"])
            .answers_in("The file.", &[("text/css", file.clone()), ("text/javascript", file)])
            .fails_with(&[404]),
    ]
}

/// The schemas that are made by hand, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let document = answer("An OpenAPI document; these are its required fields.")
        .required("openapi", string(), "The version of OpenAPI.")
        .required("info", json!({"type": "object"}), "What this server is.")
        .required("paths", json!({"type": "object"}), "Its routes.");
    vec![(
        "Document",
        with(document.into(), "additionalProperties", true),
    )]
}
