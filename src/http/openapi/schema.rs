//! JSON Schemas of requests and answers, as OpenAPI 3.1 takes them: JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use crate::limits::Limits;

/// A JSON object, field by field.
pub struct Object {
    description: &'static str,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    closed: bool,
}

/// An object of a request: a field that it does not know is refused.
pub fn request(description: &'static str) -> Object {
    Object {
        description,
        properties: Map::new(),
        required: Vec::new(),
        closed: true,
    }
}

/// An object of an answer: later versions may add fields, which clients ignore.
pub fn answer(description: &'static str) -> Object {
    Object {
        closed: false,
        ..request(description)
    }
}

impl Object {
    /// A field that is always there.
    pub fn required(mut self, name: &'static str, schema: Value, words: &str) -> Self {
        self.required.push(name);
        self.present(name, schema, words)
    }

    /// A field that may be absent, or null, which means the same.
    pub fn optional(self, name: &'static str, schema: Value, words: &str) -> Self {
        self.present(name, or_null(schema), words)
    }

    /// A field that may be absent, but is never null.
    pub fn present(mut self, name: &'static str, schema: Value, words: &str) -> Self {
        let schema = with(schema, "description", words);
        self.properties.insert(name.to_owned(), schema);
        self
    }
}

impl Object {
    /// An object of a request that may have other fields too, which are ignored.
    pub fn open(self) -> Self {
        Self {
            closed: false,
            ..self
        }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        let mut schema = json!({
            "type": "object",
            "description": object.description,
            "properties": object.properties,
        });
        if !object.required.is_empty() {
            schema = with(schema, "required", object.required);
        }
        if object.closed {
            schema = with(schema, "additionalProperties", false);
        }
        schema
    }
}

/// A schema with one more keyword.
pub fn with(mut schema: Value, keyword: &str, value: impl Into<Value>) -> Value {
    schema[keyword] = value.into();
    schema
}

/// A schema of `components/schemas` by its name.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A list of what one schema describes.
pub fn list(items: impl Into<Value>) -> Value {
    json!({"type": "array", "items": items.into()})
}

/// Any string.
pub fn string() -> Value {
    json!({"type": "string"})
}

/// One of a few names.
pub fn one_of_names(names: &[&str]) -> Value {
    json!({"type": "string", "enum": names})
}

/// A place in a text, or a number of things.
pub fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// A text. The bound is of bytes, which a text has no fewer of than characters.
pub fn text(limits: &Limits) -> Value {
    json!({"type": "string", "maxLength": limits.max_text_bytes})
}

/// A list of inputs, as many as one request may hold.
pub fn several(items: &Value, limits: &Limits) -> Value {
    json!({"type": "array", "items": items, "minItems": 1, "maxItems": limits.max_inputs})
}

/// What a schema describes, or null.
pub fn or_null(schema: Value) -> Value {
    let Some(kind) = schema.get("type").and_then(Value::as_str) else {
        return json!({"oneOf": [schema, {"type": "null"}]});
    };
    let kinds = json!([kind, "null"]);
    let mut schema = with(schema, "type", kinds);
    if let Some(names) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        names.push(Value::Null);
    }
    schema
}
