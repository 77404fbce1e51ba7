//! Schemas of the four tasks' requests.

use serde_json::{Value, json};

use crate::http::openapi::derived;
use crate::http::openapi::schema::{reference, with};
use crate::limits::Limits;
use crate::service::{ClassifyRequest, DiscriminateRequest, QaItem, QaRequest, TagRequest};

/// Request types with derived schemas.
pub type Requests = (DiscriminateRequest, ClassifyRequest, TagRequest, QaItem);

/// Schemas of requests, by name.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    let mut derived = derived::requests::<(QaRequest,)>(limits);
    let all = derived.remove("QaRequest").unwrap_or_default();
    let either = json!({
        "description": all["description"],
        "oneOf": [reference("QaQuestion"), reference("QaItems")],
    });
    let question = either_of(&all, &["question", "context"], &["items"]);
    let items = either_of(&all, &["items"], &["question", "context"]);
    vec![
        ("QaRequest", either),
        (
            "QaQuestion",
            with(question, "description", "One question, and options."),
        ),
        (
            "QaItems",
            with(items, "description", "Several questions, and options."),
        ),
    ]
}

/// One of the two forms of a request: with the fields `required`, without `others`.
fn either_of(all: &Value, required: &[&str], others: &[&str]) -> Value {
    let mut schema = with(all.clone(), "required", required);
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|name, _| !others.contains(&name.as_str()));
    }
    schema
}
