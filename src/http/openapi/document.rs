//! The OpenAPI 3.1 document of all routes, with the limits that this server runs with.
//!
//! Schemas are derived from the types, whose doc comments are the descriptions. By hand, of `serde_json` values, are routes,
//! examples and errors, and the schemas that no type has: tensors of the Open Inference Protocol, whose parameters are read by
//! name; the `inputs` of pipelines, which are read as what the model's task takes; the bodies of load and unload; and the two
//! shapes of a request to /qa. Tests hold the document to the router, to the errors, and to what the server takes and answers.

use serde_json::{Map, Value, json};

use super::operation::Operation;
use super::tags::TAGS;
use super::{derived, errors, headers, huggingface, models, oip, operations, tasks};
use crate::http::health::Health;
use crate::http::models::Models;
use crate::http::oip::IndexRequest;
use crate::limits::{Limits, Timeouts};
use crate::service::huggingface::PipelineOptions;

/// The types of requests whose schemas are derived.
type Requests = (tasks::Requests, PipelineOptions, IndexRequest);
/// Those of answers.
type Answers = (
    tasks::Answers,
    Models,
    huggingface::Answers,
    oip::Answers,
    Health,
);

const DESCRIPTION: &str = "\
Serves ELECTRA models: replaced-token detection, classification, tagging and question answering.

All JSON is in UTF-8. A field that a request does not know is refused; one that is null is as if it were absent. Answers may \
gain fields in later versions.

Whatever goes wrong, the answer is `{\"error\": \"what is wrong, where, and what to do\", \"code\": \"…\"}`. A path that \
there is none of is 404 (`route_not_found`), a method that a path does not take is 405 (`method_not_allowed`), with the \
header `allow`.";

/// The document of a server that has these limits.
pub fn document(limits: &Limits, timeouts: &Timeouts) -> Value {
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.document;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "electra",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        // Nobody is asked who they are: that is for what stands in front of the server.
        "security": [],
        "tags": TAGS
            .iter()
            .map(|(name, description)| json!({"name": name, "description": description}))
            .collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas(limits),
            "parameters": headers::parameters(timeouts),
            "headers": headers::headers(),
            "responses": errors::responses(limits),
        },
    })
}

/// Every operation there is.
pub fn operations() -> Vec<Operation> {
    [
        tasks::operations(),
        models::operations(),
        huggingface::operations(),
        oip::operations(),
        operations::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn schemas(limits: &Limits) -> Map<String, Value> {
    let by_hand = [
        tasks::schemas(limits),
        huggingface::schemas(limits),
        oip::schemas(limits),
        operations::schemas(),
        vec![("Error", errors::schema(limits))],
    ];
    let by_hand = by_hand.into_iter().flatten();
    let mut schemas = derived::requests::<Requests>(limits);
    schemas.extend(derived::answers::<Answers>(limits));
    schemas.extend(by_hand.map(|(name, schema)| (name.to_owned(), schema)));
    schemas
}
