//! The OpenAPI 3.1 document of all routes, with this server's limits.
//!
//! Schemas are derived from types, whose doc comments become the descriptions. Routes, examples and errors are written
//! by hand as `serde_json` values. So are the schemas that no type has: tensors of the Open Inference Protocol, whose
//! parameters are read by name; the `inputs` of pipelines, which are parsed according to the model's task; the bodies
//! of load and unload requests; and the two forms of a request to /qa. Tests compare the document with the router, the
//! errors, and the server's requests and answers.

use serde_json::{Map, Value, json};

use super::operation::Operation;
use super::tags::TAGS;
use super::{derived, errors, headers, huggingface, models, oip, operations, tasks};
use crate::access::Need;
use crate::http::health::Health;
use crate::http::models::Models;
use crate::http::oip::IndexRequest;
use crate::http::routes::routes;
use crate::limits::{Limits, Timeouts};
use crate::service::huggingface::PipelineOptions;

/// Request types with derived schemas.
type Requests = (tasks::Requests, PipelineOptions, IndexRequest);
/// Answer types with derived schemas.
type Answers = (
    tasks::Answers,
    Models,
    huggingface::Answers,
    oip::Answers,
    Health,
);

const DESCRIPTION: &str = "\
Serves ELECTRA models: replaced-token detection, classification, tagging and question answering.

All JSON is UTF-8. Unknown fields in requests are refused; a field that is null counts as absent. Answers may gain \
fields in later versions.

Every error is `{\"error\": \"what is wrong, where, and what to do\", \"code\": \"…\"}`. An unknown path returns 404 \
(`route_not_found`). A method that a path does not support returns 405 (`method_not_allowed`) with the header `allow`.";

/// The document of a server with these limits.
pub fn document(limits: &Limits, timeouts: &Timeouts) -> Value {
    let mut paths = Map::new();
    let routes = routes();
    for operation in operations() {
        let route = routes.iter().find(|route| {
            let method = route.method.as_str();
            route.path == operation.path && method.eq_ignore_ascii_case(operation.method)
        });
        let operation = match route.map(|route| route.need) {
            None | Some(Need::Nothing) => operation.open_to_all(),
            Some(_) => operation.fails_with(&[401, 403, 429]),
        };
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
        // A key, or none: that is the server's configuration.
        "security": [{"key": []}, {}],
        "tags": TAGS
            .iter()
            .map(|(name, description)| json!({"name": name, "description": description}))
            .collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key of this server, if it asks for one.",
            }},
            "schemas": schemas(limits),
            "parameters": headers::parameters(timeouts),
            "headers": headers::headers(),
            "responses": errors::responses(limits),
        },
    })
}

/// All operations.
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
