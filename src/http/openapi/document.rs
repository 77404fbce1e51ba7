//! The OpenAPI 3.1 document of all routes, with the limits that this server runs with.
//!
//! It is made by hand of `serde_json` values, not derived from the types: many of these read their JSON by hand, which a
//! derived schema would say again beside them, and the bounds are known only when the server runs. Tests hold it to the
//! router, to the errors, and to what the server takes and answers.

use serde_json::{Map, Value, json};

use super::operation::Operation;
use super::tags::TAGS;
use super::{errors, headers, huggingface, models, oip, operations, tasks};
use crate::limits::{Limits, Timeouts};

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
    [
        tasks::schemas(limits),
        models::schemas(),
        huggingface::schemas(limits),
        oip::schemas(),
        operations::schemas(),
        vec![("Error", errors::schema(limits))],
    ]
    .into_iter()
    .flatten()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}
