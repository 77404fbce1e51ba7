//! Tests the document against the router and the errors.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::{document, operations};
use super::errors;
use crate::http::routes;
use crate::limits::{Limits, Timeouts};

fn default_document() -> Value {
    document(&Limits::default(), &Timeouts::default())
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let described: Vec<(String, &str)> = operations()
        .iter()
        .map(|operation| (operation.method.to_uppercase(), operation.path))
        .collect();
    let routed: Vec<(String, &str)> = routes::routes()
        .iter()
        .map(|route| (route.method.to_string(), route.path))
        .collect();
    let unique =
        |routes: &[(String, &'static str)]| routes.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(unique(&described), unique(&routed));
    assert_eq!(
        described.len(),
        routed.len(),
        "an operation is described twice"
    );
}

#[test]
fn every_operation_has_an_id_of_its_own_a_known_tag_and_says_what_it_does() {
    let document = default_document();
    let tags: Vec<&Value> = list(&document["tags"])
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let operations = operations();
    let mut ids = BTreeSet::new();
    for operation in &operations {
        let (path, described) = (operation.path, &operation.document);
        assert!(ids.insert(described["operationId"].to_string()), "{path}");
        assert!(tags.contains(&&described["tags"][0]), "{path}");
        let said = |field: &str| described[field].as_str().unwrap_or_default();
        assert!(
            !said("summary").is_empty() && !said("summary").ends_with('.'),
            "{path}"
        );
        assert!(said("description").ends_with('.'), "{path}");
    }
}

#[test]
fn every_parameter_of_a_path_is_declared() {
    let document = default_document();
    for operation in operations() {
        let declared: BTreeSet<&str> = list(&operation.document["parameters"])
            .iter()
            .map(|parameter| resolve(&document, parameter))
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let varies: BTreeSet<&str> = operation
            .path
            .split(['{', '}'])
            .skip(1)
            .step_by(2)
            .collect();
        assert_eq!(declared, varies, "{}", operation.path);
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_referred_to() {
    let document = default_document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(
            document.pointer(&reference[1..]).is_some(),
            "{reference} leads nowhere"
        );
    }
    for (kind, components) in object(&document["components"]) {
        if kind == "securitySchemes" {
            // Requirements name these without a reference.
            let used = object(&document["security"][0]);
            assert!(used.keys().eq(object(components).keys()));
            continue;
        }
        for name in object(components).keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(found.contains(&reference), "{reference} is never used");
        }
    }
}

#[test]
fn every_object_and_field_is_described() {
    fn check(place: &str, schema: &Value) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}.{name}");
            let words = property["description"].as_str().unwrap_or_default();
            assert!(words.ends_with('.'), "{place} is not described");
            check(&place, property);
        }
    }
    for (name, schema) in object(&default_document()["components"]["schemas"]) {
        assert!(schema["description"].is_string(), "{name} is not described");
        check(name, schema);
    }
}

#[test]
fn limits_are_bounds_of_the_document() {
    let limits = Limits {
        max_body_bytes: 1111,
        max_inputs: 22,
        max_text_bytes: 333,
    };
    let document = document(&limits, &Timeouts::default());
    let text = &document["components"]["schemas"]["TagRequest"]["properties"]["text"]["oneOf"];
    assert_eq!(text[0]["maxLength"], 333);
    assert_eq!(text[1]["maxItems"], 22);
    let too_large = &document["components"]["responses"]["ContentTooLarge"];
    assert!(too_large.to_string().contains("1111 bytes"), "{too_large}");
}

/// The variants of an enum can't be listed, so this reads them from the source.
#[test]
fn every_error_of_the_table_is_in_the_document_under_its_status() {
    let source = include_str!("../../error.rs");
    let table: BTreeSet<(String, String)> = source
        .lines()
        .filter_map(|line| {
            let (code, rest) = line.split_once("(\"")?.1.split_once("\", ")?;
            let status: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (!status.is_empty()).then(|| (code.to_owned(), status))
        })
        // Only gRPC returns this one, for a message that is not valid protobuf.
        .filter(|(code, _)| code != "invalid_message")
        .collect();
    assert!(table.len() > 20, "{table:?}");
    let listed: BTreeSet<(String, String)> = errors::samples(&Limits::default())
        .iter()
        .map(|error| (error.code().to_owned(), error.http_status().to_string()))
        .collect();
    assert_eq!(listed, table);
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.insert(reference.clone());
            }
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn object(value: &Value) -> &serde_json::Map<String, Value> {
    value.as_object().unwrap()
}
