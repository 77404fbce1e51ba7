//! An operation of the document: a method of a path, with its requests and answers.

use serde_json::{Map, Value, json};

use super::errors;
use super::schema::{reference, with};

/// A method of a path and its description in the document.
pub struct Operation {
    /// In lower case, as in OpenAPI.
    pub method: &'static str,
    /// Variable parts are written as `{name}`.
    pub path: &'static str,
    /// The OpenAPI Operation Object.
    pub document: Value,
}

/// A complete example of a request or an answer.
pub struct Example {
    /// A short name, of characters that OpenAPI allows in a key.
    pub name: &'static str,
    /// A line about the example.
    pub summary: &'static str,
    /// The example itself.
    pub value: Value,
}

/// Makes an example.
pub fn example(name: &'static str, summary: &'static str, value: Value) -> Example {
    Example {
        name,
        summary,
        value,
    }
}

impl Operation {
    /// A GET operation under one of the document's tags. Generated clients use `id` as the name of its method.
    pub fn get(path: &'static str, id: &'static str, tag: &'static str) -> Self {
        Self::new("get", path, id, tag)
    }

    /// A POST operation; see [`Self::get`].
    pub fn post(path: &'static str, id: &'static str, tag: &'static str) -> Self {
        Self::new("post", path, id, tag)
    }

    fn new(method: &'static str, path: &'static str, id: &'static str, tag: &'static str) -> Self {
        Self {
            method,
            path,
            document: json!({
                "operationId": id,
                "tags": [tag],
                "parameters": [],
                "responses": {},
            }),
        }
        .parameters(&["RequestId", "TraceParent"])
    }

    /// Sets the summary and the description.
    pub fn says(mut self, summary: &str, description: &str) -> Self {
        self.document["summary"] = summary.into();
        self.document["description"] = description.into();
        self
    }

    /// Adds parameters of `components/parameters`, by name.
    pub fn parameters(mut self, names: &[&str]) -> Self {
        if let Some(parameters) = self.document["parameters"].as_array_mut() {
            parameters.extend(
                names
                    .iter()
                    .map(|name| json!({"$ref": format!("#/components/parameters/{name}")})),
            );
        }
        self
    }

    /// Sets a required JSON body, with a schema of `components/schemas`.
    pub fn takes(self, schema: &str, examples: Vec<Example>) -> Self {
        self.with_body(true, &content(schema, examples))
    }

    /// Sets an optional JSON body, with a schema of `components/schemas`.
    pub fn may_take(self, schema: &str, examples: Vec<Example>) -> Self {
        self.with_body(false, &content(schema, examples))
    }

    fn with_body(mut self, required: bool, content: &Value) -> Self {
        self.document["requestBody"] = json!({
            "required": required,
            "content": {"application/json": content},
        });
        self
    }

    /// Adds another media type of the body, as a Media Type Object.
    pub fn or_takes(mut self, media_type: &str, content: Value) -> Self {
        self.document["requestBody"]["content"][media_type] = content;
        self
    }

    /// Sets the JSON answer with status 200, with a schema of `components/schemas`.
    pub fn answers(self, description: &str, schema: &str, examples: Vec<Example>) -> Self {
        self.answers_in(
            description,
            &[("application/json", content(schema, examples))],
        )
    }

    /// Sets the answer with status 200, as Media Type Objects by media type.
    pub fn answers_in(mut self, description: &str, contents: &[(&str, Value)]) -> Self {
        let contents: Map<String, Value> = contents
            .iter()
            .map(|(media_type, content)| ((*media_type).to_owned(), content.clone()))
            .collect();
        self.document["responses"]["200"] = json!({
            "description": description,
            "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
            "content": contents,
        });
        self
    }

    /// Adds another media type of the answer, as a Media Type Object.
    pub fn or_answers(mut self, media_type: &str, content: Value) -> Self {
        self.document["responses"]["200"]["content"][media_type] = content;
        self
    }

    /// Adds headers to the answer: pairs of a header's name and its key in `components/headers`.
    pub fn answer_headers(mut self, headers: &[(&str, &str)]) -> Self {
        for (header, name) in headers {
            self.document["responses"]["200"]["headers"][*header] =
                json!({"$ref": format!("#/components/headers/{name}")});
        }
        self
    }

    /// Says that it needs no key.
    pub fn open_to_all(mut self) -> Self {
        self.document["security"] = json!([]);
        self
    }

    /// Adds the errors with these statuses, and with 500.
    pub fn fails_with(mut self, statuses: &[u16]) -> Self {
        for status in statuses.iter().chain(&[500]) {
            self.document["responses"][status.to_string()] = errors::reference(*status);
        }
        self
    }
}

fn content(schema: &str, examples: Vec<Example>) -> Value {
    let examples: Map<String, Value> = examples
        .into_iter()
        .map(|example| {
            let shown = json!({"summary": example.summary, "value": example.value});
            (example.name.to_owned(), shown)
        })
        .collect();
    let content = json!({"schema": reference(schema)});
    if examples.is_empty() {
        content
    } else {
        with(content, "examples", examples)
    }
}
