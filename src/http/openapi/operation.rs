//! One operation of the document: a method of a path, what it takes and what it answers.

use serde_json::{Map, Value, json};

use super::errors;
use super::schema::{reference, with};

/// A method of a path and what the document says of it.
pub struct Operation {
    /// Lower case, as OpenAPI writes it.
    pub method: &'static str,
    /// With `{name}` for what varies.
    pub path: &'static str,
    /// The OpenAPI Operation Object.
    pub document: Value,
}

/// A request or an answer that works as it stands.
pub struct Example {
    /// A short name, of the letters that OpenAPI allows in a key.
    pub name: &'static str,
    /// What it shows.
    pub summary: &'static str,
    /// The JSON.
    pub value: Value,
}

/// An example by its name, what it shows, and its JSON.
pub fn example(name: &'static str, summary: &'static str, value: Value) -> Example {
    Example {
        name,
        summary,
        value,
    }
}

impl Operation {
    /// An operation by its id, which clients that are generated call it by, under a tag of the document.
    pub fn get(path: &'static str, id: &'static str, tag: &'static str) -> Self {
        Self::new("get", path, id, tag)
    }

    /// The same for POST.
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

    /// What it does, in a line and in full.
    pub fn says(mut self, summary: &str, description: &str) -> Self {
        self.document["summary"] = summary.into();
        self.document["description"] = description.into();
        self
    }

    /// Parameters of `components/parameters` by their names.
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

    /// A JSON body that it must have, a schema of `components/schemas`.
    pub fn takes(self, schema: &str, examples: Vec<Example>) -> Self {
        self.with_body(true, &content(schema, examples))
    }

    /// A JSON body that may be left out.
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

    /// Another media type that its body may be of, as a Media Type Object.
    pub fn or_takes(mut self, media_type: &str, content: Value) -> Self {
        self.document["requestBody"]["content"][media_type] = content;
        self
    }

    /// What it answers with status 200 in JSON, a schema of `components/schemas`.
    pub fn answers(self, description: &str, schema: &str, examples: Vec<Example>) -> Self {
        self.answers_in(
            description,
            &[("application/json", content(schema, examples))],
        )
    }

    /// What it answers with status 200, as Media Type Objects by their media types.
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

    /// Another media type that its answer may be of, as a Media Type Object.
    pub fn or_answers(mut self, media_type: &str, content: Value) -> Self {
        self.document["responses"]["200"]["content"][media_type] = content;
        self
    }

    /// Headers of `components/headers` that its answer has, by their own names and those there.
    pub fn answer_headers(mut self, headers: &[(&str, &str)]) -> Self {
        for (header, name) in headers {
            self.document["responses"]["200"]["headers"][*header] =
                json!({"$ref": format!("#/components/headers/{name}")});
        }
        self
    }

    /// The statuses of the errors it can end in, beside 500.
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
