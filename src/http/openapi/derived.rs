//! Schemas derived from types, in the same form as the handwritten ones.

use std::mem::take;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::schema::or_null;
use crate::limits::Limits;

/// Schemas of the request types in the tuple `T` and of the types that they contain, by name.
pub fn requests<T: JsonSchema>(limits: &Limits) -> Map<String, Value> {
    let mut generator = generator(limits, SchemaSettings::for_deserialize);
    T::json_schema(&mut generator);
    generator.take_definitions(true)
}

/// Schemas of the answer types in the tuple `T` and of the types that they contain, by name.
pub fn answers<T: JsonSchema>(limits: &Limits) -> Map<String, Value> {
    let mut generator = generator(limits, SchemaSettings::for_serialize);
    T::json_schema(&mut generator);
    generator.take_definitions(true)
}

/// The schema of a part of a request that has no name in the document.
pub fn part<T: JsonSchema>(limits: &Limits) -> Value {
    let schema = generator(limits, SchemaSettings::for_deserialize).into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("title");
    }
    schema
}

fn generator(limits: &Limits, contract: fn(SchemaSettings) -> SchemaSettings) -> SchemaGenerator {
    let settings = contract(SchemaSettings::draft2020_12()).with(|settings| {
        settings.meta_schema = None;
        settings.definitions_path = "/components/schemas".into();
    });
    let shapes = Shapes {
        limits: *limits,
        of_answers: settings.contract.is_serialize(),
    };
    settings.with_transform(shapes).into_generator()
}

/// Adapts the output of schemars to this document.
#[derive(Clone)]
struct Shapes {
    /// Schemas give limits by name; these are their numbers.
    limits: Limits,
    of_answers: bool,
}

impl Transform for Shapes {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(schema) = schema.as_object_mut() else {
            return;
        };
        // The width of Rust's number types, such as `uint64`.
        schema.remove("format");
        schema.retain(|keyword, value| keyword != "default" || !value.is_null());
        self.set_limits(schema);
        join_lines(schema);
        list_names(schema);
        merge_null(schema);
        list_any_case(schema);
        merge_flattened(schema);
        if self.of_answers {
            open(schema);
        }
    }
}

impl Shapes {
    fn set_limits(&self, schema: &mut Map<String, Value>) {
        for bound in ["maxLength", "maxItems"] {
            let limit = match schema.get(bound).and_then(Value::as_str) {
                Some("max_text_bytes") => self.limits.max_text_bytes,
                Some("max_inputs") => self.limits.max_inputs,
                _ => continue,
            };
            schema.insert(bound.to_owned(), limit.into());
        }
    }
}

/// Joins the lines of descriptions, which are wrapped in doc comments.
fn join_lines(schema: &mut Map<String, Value>) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// Turns an enum without fields into a list of names.
fn list_names(schema: &mut Map<String, Value>) {
    let variants = schema.get("oneOf").and_then(Value::as_array);
    let names = variants.and_then(|variants| variants.iter().map(|one| one.get("const")).collect());
    if let Some(names) = names.map(|names: Vec<&Value>| json!(names)) {
        schema.remove("oneOf");
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), names);
    }
}

fn merge_null(schema: &mut Map<String, Value>) {
    let Some(Value::Array(mut options)) = schema.remove("anyOf") else {
        return;
    };
    if options.len() != 2 || options[1] != json!({"type": "null"}) {
        schema.insert("anyOf".to_owned(), options.into());
    } else if let Value::Object(nullable) = or_null(options.swap_remove(0)) {
        for (keyword, value) in nullable {
            schema.entry(keyword).or_insert(value);
        }
    }
}

/// Lists names that may be in any case twice: in lower case and in upper case.
fn list_any_case(schema: &mut Map<String, Value>) {
    if schema.remove("x-any-case").is_none() {
        return;
    }
    if let Some(Value::Array(names)) = schema.get_mut("enum") {
        let capitals = |name: &Value| Some(name.as_str()?.to_uppercase().into());
        let capitals: Vec<Value> = names.iter().filter_map(capitals).collect();
        let end = capitals.len();
        names.splice(end..end, capitals);
    }
}

/// Turns an object with a flattened enum into one of several objects, each with the fields of both.
fn merge_flattened(schema: &mut Map<String, Value>) {
    if !schema.contains_key("properties") {
        return;
    }
    let Some(Value::Array(mut variants)) = schema.remove("anyOf") else {
        return;
    };
    let description = schema.remove("description");
    let shared = take(schema);
    for variant in variants.iter_mut().filter_map(Value::as_object_mut) {
        for (keyword, value) in shared.clone() {
            match (variant.get_mut(&keyword), value) {
                (Some(Value::Object(own)), Value::Object(shared)) => own.extend(shared),
                (Some(Value::Array(own)), Value::Array(shared)) => own.extend(shared),
                (Some(_), _) => {}
                (None, value) => drop(variant.insert(keyword, value)),
            }
        }
    }
    schema.insert("oneOf".to_owned(), variants.into());
    schema.extend(description.map(|description| ("description".to_owned(), description)));
}

/// Allows unknown fields in answers, which may gain fields in later versions. Fields that may be absent are never null.
fn open(schema: &mut Map<String, Value>) {
    schema.remove("additionalProperties");
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| {
        required
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == name))
    };
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(Value::Array(kinds)) = property.get_mut("type")
            && !is_required(name)
        {
            property["type"] = kinds.swap_remove(0);
        }
    }
}
