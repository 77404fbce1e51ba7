//! JSON Schemas of requests and answers. OpenAPI 3.1 uses JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use crate::limits::Limits;

/// Builds the schema of a JSON object, field by field.
pub struct Object {
    description: &'static str,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    closed: bool,
}

/// An object in a request: unknown fields are refused.
pub fn request(description: &'static str) -> Object {
    Object {
        description,
        properties: Map::new(),
        required: Vec::new(),
        closed: true,
    }
}

/// An object in an answer: later versions may add fields, which clients ignore.
pub fn answer(description: &'static str) -> Object {
    Object {
        closed: false,
        ..request(description)
    }
}

impl Object {
    /// Adds a field that is always present.
    pub fn required(mut self, name: &'static str, schema: Value, words: &str) -> Self {
        self.required.push(name);
        self.present(name, schema, words)
    }

    /// Adds a field that may be absent or null, which means the same.
    pub fn optional(self, name: &'static str, schema: Value, words: &str) -> Self {
        self.present(name, or_null(schema), words)
    }

    /// Adds a field that may be absent but is never null.
    pub fn present(mut self, name: &'static str, schema: Value, words: &str) -> Self {
        let schema = with(schema, "description", words);
        self.properties.insert(name.to_owned(), schema);
        self
    }
}

impl Object {
    /// Allows other fields in a request's object, which are ignored.
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

/// Adds a keyword to a schema.
pub fn with(mut schema: Value, keyword: &str, value: impl Into<Value>) -> Value {
    schema[keyword] = value.into();
    schema
}

/// A reference to a schema of `components/schemas`.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A list whose items have this schema.
pub fn list(items: impl Into<Value>) -> Value {
    json!({"type": "array", "items": items.into()})
}

/// Any string.
pub fn string() -> Value {
    json!({"type": "string"})
}

/// One of these names.
pub fn one_of_names(names: &[&str]) -> Value {
    json!({"type": "string", "enum": names})
}

/// An offset into a text, or a count.
pub fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// A text. The limit counts bytes, while `maxLength` counts characters; a text never has more characters than bytes.
pub fn text(limits: &Limits) -> Value {
    json!({"type": "string", "maxLength": limits.max_text_bytes})
}

/// A list of inputs, up to the limit per request.
pub fn several(items: &Value, limits: &Limits) -> Value {
    json!({"type": "array", "items": items, "minItems": 1, "maxItems": limits.max_inputs})
}

/// A value of this schema, or null.
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
