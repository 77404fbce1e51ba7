//! Checks the OpenAPI document against the server's requests and responses, and against its copy in docs/.

use std::collections::BTreeSet;

use electra_server::limits::Limits;
use jsonschema::Validator;
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};

use crate::harness::{Server, config, default_server, project, repository};

/// If set, docs/openapi.json is rewritten instead of compared.
const RENEW: &str = "ELECTRA_RENEW_SNAPSHOTS";

/// The OpenAPI document.
struct Document {
    whole: Value,
    /// The document with all undescribed fields forbidden in responses.
    strict: Value,
}

/// An operation of the document.
struct Operation<'d> {
    method: Method,
    path: &'d str,
    described: &'d Value,
}

impl Document {
    async fn of(server: &Server) -> Self {
        let (_, whole) = server.send(server.get("/openapi.json")).await;
        let mut strict = whole.clone();
        for schema in fields_mut(&mut strict["components"]["schemas"]) {
            close(schema);
        }
        Self { whole, strict }
    }

    fn operations(&self) -> Vec<Operation<'_>> {
        let of_path = |(path, methods)| {
            fields(methods).map(move |(method, described)| Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path,
                described,
            })
        };
        fields(&self.whole["paths"]).flat_map(of_path).collect()
    }

    /// The operation of a path: POST if it has one.
    fn operation(&self, path: &str) -> Operation<'_> {
        let mut operations = self.operations();
        operations.sort_by_key(|operation| operation.method != Method::POST);
        operations
            .into_iter()
            .find(|operation| {
                let mut described = operation.path.split('/');
                let mut asked = path.split('/');
                operation.path.matches('/').count() == path.matches('/').count()
                    && described.all(|part| asked.next() == Some(part) || part.starts_with('{'))
            })
            .unwrap_or_else(|| panic!("{path} is not described"))
    }

    fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            Some(reference) => self.whole.pointer(&reference[1..]).expect(reference),
            None => value,
        }
    }

    /// A validator of requests.
    fn validator(&self, schema: &Value) -> Validator {
        validator(&self.whole, schema)
    }

    /// A path with its parameters' examples filled in. An example of the request takes precedence, if it has
    /// parameters.
    fn example_path(&self, operation: &Operation<'_>, name: &str) -> String {
        let mut path = operation.path.to_owned();
        for parameter in items(&operation.described["parameters"]) {
            let parameter = self.resolve(parameter);
            if parameter["in"] == "path" {
                let example = match &parameter["examples"][name]["value"] {
                    Value::Null => &parameter["example"],
                    example => example,
                };
                let parameter = format!("{{{}}}", parameter["name"].as_str().expect("a name"));
                path = path.replace(&parameter, example.as_str().expect("an example"));
            }
        }
        path
    }

    /// Checks a response's status, media type, headers and body against an operation. Returns the body.
    async fn check(&self, operation: &Operation<'_>, response: Response) -> Value {
        let status = response.status().as_u16();
        let place = format!("{} {}: {status}", operation.method, operation.path);
        let described = self.resolve(&operation.described["responses"][status.to_string()]);
        assert!(described.is_object(), "{place} is not described");
        let headers = response.headers().clone();
        for (name, header) in fields(&described["headers"]) {
            let header = self.resolve(header);
            let Some(value) = headers.get(name) else {
                assert!(header["required"] != true, "{place} has no {name}");
                continue;
            };
            let value = value.to_str().expect("ASCII");
            let schema = &header["schema"];
            let value = match schema["type"].as_str() {
                Some("integer") => value.parse::<u64>().expect("a number").into(),
                _ => Value::from(value),
            };
            conforms(&self.validator(schema), &value, &format!("{place}, {name}"));
        }
        let media_type = headers["content-type"].to_str().expect("ASCII");
        let media_type = media_type
            .split(';')
            .next()
            .expect("a media type")
            .to_owned();
        let content = &described["content"][&media_type];
        assert!(
            content.is_object(),
            "{place}: {media_type} is not described"
        );
        if media_type != "application/json" {
            return Value::Null;
        }
        let body: Value = response.json().await.expect("JSON");
        conforms(&validator(&self.strict, &content["schema"]), &body, &place);
        body
    }
}

impl Operation<'_> {
    /// The examples of its request, by name.
    fn request_examples(&self) -> Vec<(&str, &Value)> {
        examples(&self.described["requestBody"])
    }

    fn request_schema(&self) -> &Value {
        &self.described["requestBody"]["content"]["application/json"]["schema"]
    }
}

fn validator(document: &Value, schema: &Value) -> Validator {
    let root = json!({"allOf": [schema], "components": document["components"]});
    jsonschema::validator_for(&root).expect("a schema")
}

#[track_caller]
fn conforms(validator: &Validator, value: &Value, place: &str) {
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{place}: {errors:#?} in {value}");
}

/// The JSON examples of a request or a response, by name.
fn examples(described: &Value) -> Vec<(&str, &Value)> {
    fields(&described["content"]["application/json"]["examples"])
        .map(|(name, example)| (name, &example["value"]))
        .collect()
}

/// Forbids undescribed fields in the objects of a schema.
fn close(schema: &mut Value) {
    if schema["properties"].is_object() && schema["additionalProperties"].is_null() {
        schema["additionalProperties"] = false.into();
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(close),
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Whether an answer equals an example. Scores may differ, because processors differ.
fn is_alike(example: &Value, found: &Value) -> bool {
    match (example, found) {
        (Value::Object(example), Value::Object(found)) => {
            example.len() == found.len()
                && example.iter().all(|(name, value)| {
                    found.get(name).is_some_and(|found| is_alike(value, found))
                })
        }
        (Value::Array(example), Value::Array(found)) => {
            example.len() == found.len()
                && example
                    .iter()
                    .zip(found)
                    .all(|(example, found)| is_alike(example, found))
        }
        (Value::Number(example), Value::Number(found)) if example.is_f64() => {
            let difference = example
                .as_f64()
                .zip(found.as_f64())
                .map(|(a, b)| (a - b).abs());
            difference.is_some_and(|difference| difference < 0.1)
        }
        _ => example == found,
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = value.as_object().map(Map::iter).into_iter().flatten();
    fields.map(|(name, value)| (name.as_str(), value))
}

fn fields_mut(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().expect("an object").values_mut()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_the_one_in_docs() {
    let document = Document::of(&default_server()).await.whole;
    let path = project().join("docs/openapi.json");
    if std::env::var_os(RENEW).is_some() {
        let text = serde_json::to_string_pretty(&document).expect("JSON");
        std::fs::write(&path, text + "\n").expect("docs/openapi.json can be written");
    }
    let text = std::fs::read_to_string(&path).expect("docs/openapi.json");
    let copy: Value = serde_json::from_str(&text).expect("JSON");
    let mut differences = Vec::new();
    compare("", &copy, &document, &mut differences);
    assert!(
        differences.is_empty(),
        "docs/openapi.json differs from what the server says in {differences:#?}. If that is meant, renew it by \
         `{RENEW}=1 cargo test --test integration openapi`, and see in its diff whether clients still work."
    );
}

/// Collects the places where two documents differ.
fn compare(place: &str, copy: &Value, served: &Value, differences: &mut Vec<String>) {
    match (copy, served) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                compare(
                    &format!("{place}/{name}"),
                    &copy[name],
                    &served[name],
                    differences,
                );
            }
        }
        _ if copy == served => {}
        _ => differences.push(place.to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_openapi_and_its_examples_fit_their_schemas() {
    let document = Document::of(&default_server()).await;
    assert_eq!(document.whole["openapi"], "3.1.0");
    for operation in document.operations() {
        let place = format!("{} {}", operation.method, operation.path);
        for (name, example) in operation.request_examples() {
            let schema = document.validator(operation.request_schema());
            conforms(&schema, example, &format!("{place}, {name}"));
        }
        for (status, response) in fields(&operation.described["responses"]) {
            let response = document.resolve(response);
            let schema = &response["content"]["application/json"]["schema"];
            for (name, example) in examples(response) {
                let strict = validator(&document.strict, schema);
                conforms(&strict, example, &format!("{place}, {status}, {name}"));
            }
        }
        for parameter in items(&operation.described["parameters"]) {
            let parameter = document.resolve(parameter);
            let schema = document.validator(&parameter["schema"]);
            let examples = fields(&parameter["examples"]).map(|(_, example)| &example["value"]);
            let examples: Vec<&Value> = examples.chain(parameter.get("example")).collect();
            assert!(
                !examples.is_empty() || parameter["required"] != true,
                "{place} shows no {parameter}"
            );
            for example in examples {
                conforms(&schema, example, &format!("{place}, {parameter}"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_answered_as_the_document_shows() {
    let server = default_server();
    let document = Document::of(&server).await;
    let mut answered = 0;
    for operation in document.operations() {
        // This would unload a model that other tests use. The test of loading and unloading has its own server.
        if operation.described["operationId"] == "unloadModel" {
            continue;
        }
        let shown = examples(&operation.described["responses"]["200"]);
        let mut requests = operation.request_examples();
        if requests.is_empty() {
            requests.push(("", &Value::Null));
        }
        for (name, body) in requests {
            let url = server.url(&document.example_path(&operation, name));
            let mut request = server.client.request(operation.method.clone(), &url);
            if !body.is_null() {
                request = request.json(body);
            }
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status(), 200, "{url} {body}");
            let answer = document.check(&operation, response).await;
            if let Some((_, example)) = shown.iter().find(|(of, _)| *of == name) {
                assert!(is_alike(example, &answer), "{url} {body}: {answer}");
            }
            answered += 1;
        }
    }
    assert!(answered > 15, "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn loading_and_unloading_are_answered_as_the_document_shows() {
    let models = repository(&["token-bio"]);
    let server = Server::start(config(models.path())).await;
    let document = Document::of(&server).await;
    for (path, name, status) in [
        ("/v2/repository/models/{name}/unload", "token-bio", 200),
        ("/v2/repository/models/{name}/load", "token-bio", 200),
        ("/v2/repository/models/{name}/load", "none", 404),
    ] {
        let url = server.url(&path.replace("{name}", name));
        let response = server.client.post(url).send().await.expect("an answer");
        assert_eq!(response.status(), status);
        document.check(&document.operation(path), response).await;
    }
    std::fs::write(models.path().join("token-bio/tokenizer.json"), "{").expect("a file");
    let load = "/v2/repository/models/{name}/load";
    let url = server.url(&load.replace("{name}", "token-bio"));
    let response = server.client.post(url).send().await.expect("an answer");
    assert_eq!(response.status(), 503);
    document.check(&document.operation(load), response).await;
}

/// Bodies that the server accepts.
fn taken_by_tasks() -> Vec<(&'static str, Value)> {
    vec![
        ("/discriminate", json!({"text": ""})),
        ("/discriminate", json!({"text": ["a", " "]})),
        (
            "/discriminate",
            json!({"text": "a", "threshold": 0, "level": "token", "offsets": "utf8"}),
        ),
        (
            "/discriminate",
            json!({"text": "a", "threshold": 1.0, "level": null, "offsets": null, "model": null}),
        ),
        (
            "/discriminate",
            json!({"text": "a", "model": "electra-mini-discriminator@1"}),
        ),
        (
            "/classify",
            json!({"text": "a", "top_k": 100, "function": "none", "truncate": false}),
        ),
        (
            "/classify",
            json!({"text": [["a", "b"], "c"], "top_k": 2.0}),
        ),
        ("/classify", json!({"text": "a", "top_k": u64::MAX})),
        (
            "/tag",
            json!({"text": "a", "aggregation": "max", "offsets": "codepoint"}),
        ),
        (
            "/qa",
            json!({"question": "a", "context": "b", "top_k": 100, "stride": 192, "max_answer_tokens": 1}),
        ),
        (
            "/qa",
            json!({"items": [{"question": "a", "context": "b"}], "no_answer": null, "stride": 0}),
        ),
    ]
}

/// Bodies that it refuses.
fn refused_by_tasks() -> Vec<(&'static str, Value)> {
    let limits = Limits::default();
    let too_many = vec!["a"; limits.max_inputs + 1];
    let too_long = "a".repeat(limits.max_text_bytes + 1);
    vec![
        ("/discriminate", json!({})),
        ("/discriminate", json!([])),
        ("/discriminate", json!("a")),
        ("/discriminate", json!({"text": null})),
        ("/discriminate", json!({"text": 1})),
        ("/discriminate", json!({"text": []})),
        ("/discriminate", json!({"text": ["a", 1]})),
        ("/discriminate", json!({"text": too_many})),
        ("/discriminate", json!({"text": too_long})),
        ("/discriminate", json!({"text": "a", "more": 1})),
        ("/discriminate", json!({"text": "a", "threshold": 1.5})),
        ("/discriminate", json!({"text": "a", "threshold": "0.5"})),
        ("/discriminate", json!({"text": "a", "level": "line"})),
        ("/discriminate", json!({"text": "a", "offsets": "bytes"})),
        ("/discriminate", json!({"text": "a", "model": 1})),
        ("/classify", json!({"text": " \t"})),
        ("/classify", json!({"text": "\u{f}"})),
        ("/classify", json!({"text": ["a", ""]})),
        ("/classify", json!({"text": [["a"]]})),
        ("/classify", json!({"text": [["a", "b", "c"]]})),
        ("/classify", json!({"text": [["a", ""]]})),
        ("/classify", json!({"text": "a", "top_k": 0})),
        ("/classify", json!({"text": "a", "top_k": 1.5})),
        ("/classify", json!({"text": "a", "top_k": 1e30})),
        ("/classify", json!({"text": "a", "function": "relu"})),
        ("/classify", json!({"text": "a", "truncate": 1})),
        ("/classify", json!({"text": "a", "offsets": "utf8"})),
        ("/tag", json!({"text": "a", "aggregation": "min"})),
        ("/qa", json!({"question": "a"})),
        ("/qa", json!({"context": "a"})),
        ("/qa", json!({"question": "", "context": "a"})),
        ("/qa", json!({"question": "a", "context": "\n"})),
        ("/qa", json!({"question": "a", "context": "b", "items": []})),
        (
            "/qa",
            json!({"question": "a", "items": [{"question": "a", "context": "b"}]}),
        ),
        ("/qa", json!({"items": []})),
        ("/qa", json!({"items": [["a", "b"]]})),
        ("/qa", json!({"items": [{"question": "a"}]})),
        (
            "/qa",
            json!({"items": [{"question": "a", "context": "b", "id": 1}]}),
        ),
        (
            "/qa",
            json!({"question": "a", "context": "b", "top_k": 101}),
        ),
        (
            "/qa",
            json!({"question": "a", "context": "b", "stride": 193}),
        ),
        (
            "/qa",
            json!({"question": "a", "context": "b", "stride": -1}),
        ),
    ]
}

const SENTIMENT: &str = "/models/electra-mini-sentiment";
const CHUNKER: &str = "/models/electra-mini-chunker";
const QA: &str = "/models/electra-mini-qa";

/// Bodies that pipelines accept.
fn taken_by_pipelines() -> Vec<(&'static str, Value)> {
    let item = json!({"question": "a", "context": "b"});
    vec![
        (SENTIMENT, json!({"inputs": ""})),
        (
            SENTIMENT,
            json!({"inputs": "a", "parameters": null, "options": null}),
        ),
        (
            SENTIMENT,
            json!({"inputs": ["a", {"text": "b"}, {"text": "c", "text_pair": null}]}),
        ),
        (
            SENTIMENT,
            json!({"inputs": {"text": "a", "text_pair": "b"}, "parameters": {"top_k": null}}),
        ),
        (
            SENTIMENT,
            json!({"inputs": [[["a", "b"]]], "parameters": {"function_to_apply": "SIGMOID"}}),
        ),
        (
            SENTIMENT,
            json!({"inputs": "a", "options": {"use_cache": true, "wait_for_model": null}}),
        ),
        (
            CHUNKER,
            json!({"inputs": "a", "parameters": {"aggregation_strategy": "max", "stride": 9}}),
        ),
        (
            CHUNKER,
            json!({"inputs": ["a", ""], "parameters": {"ignore_labels": []}}),
        ),
        (
            QA,
            json!({"inputs": item, "parameters": {"top_k": 100, "doc_stride": 9, "max_seq_len": 99}}),
        ),
        (
            QA,
            json!({"inputs": [item, item], "parameters": {"topk": 2, "align_to_words": false}}),
        ),
        (
            QA,
            json!({"inputs": {"question": " ", "context": " "}, "parameters": {"max_question_len": 1}}),
        ),
    ]
}

/// Bodies that they refuse.
fn refused_by_pipelines() -> Vec<(&'static str, Value)> {
    let item = json!({"question": "a", "context": "b"});
    vec![
        (SENTIMENT, json!({})),
        (SENTIMENT, json!({"inputs": null})),
        (SENTIMENT, json!({"inputs": []})),
        (SENTIMENT, json!({"inputs": ["a", 1]})),
        (SENTIMENT, json!({"inputs": ["a", ["b", "c"]]})),
        (SENTIMENT, json!({"inputs": {"text": "a", "pair": "b"}})),
        (SENTIMENT, json!({"inputs": "a", "parameters": []})),
        (
            SENTIMENT,
            json!({"inputs": "a", "parameters": {"top_k": 0}}),
        ),
        (
            SENTIMENT,
            json!({"inputs": "a", "parameters": {"function_to_apply": "relu"}}),
        ),
        (
            SENTIMENT,
            json!({"inputs": "a", "options": {"use_gpu": true}}),
        ),
        (SENTIMENT, json!({"inputs": "a", "model": "b"})),
        (
            CHUNKER,
            json!({"inputs": "a", "parameters": {"aggregation_strategy": "best"}}),
        ),
        (
            CHUNKER,
            json!({"inputs": "a", "parameters": {"ignore_labels": "O"}}),
        ),
        (QA, json!({"inputs": {"question": "a"}})),
        (QA, json!({"inputs": {"question": "", "context": "b"}})),
        (QA, json!({"inputs": item, "parameters": {"top_k": 101}})),
        (
            QA,
            json!({"inputs": item, "parameters": {"max_answer_len": 0}}),
        ),
        (QA, json!({"inputs": item, "parameters": {"lang": "en"}})),
    ]
}

const INFER: &str = "/v2/models/electra-mini-sentiment/infer";
const INDEX: &str = "/v2/repository/index";
const LOAD: &str = "/v2/repository/models/electra-mini-sentiment/load";

/// Bodies that the Open Inference Protocol's routes accept.
fn taken_by_inference() -> Vec<(&'static str, Value)> {
    let text = json!({"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": [["a"]]});
    let ids =
        json!({"name": "input_ids", "datatype": "INT32", "shape": [1, 2], "data": [101, 102]});
    vec![
        (
            INFER,
            json!({"inputs": [text], "outputs": null, "parameters": null, "id": null}),
        ),
        (
            INFER,
            json!({"inputs": [text], "parameters": {"priority": 0, "timeout": "0", "top_k": "1"}}),
        ),
        (
            INFER,
            json!({"inputs": [text], "parameters": {"truncate": "true", "function": "none"}}),
        ),
        (
            INFER,
            json!({"inputs": [text], "parameters": {"sequence_id": 7, "headers": {"a": "b"}, "content_type": "str"}}),
        ),
        (
            INFER,
            json!({"inputs": [text], "parameters": {"timeout": null, "top_k": null, "beams": 4}}),
        ),
        (
            INFER,
            json!({"inputs": [text], "outputs": [{"name": "score", "parameters": {"binary": null, "content_type": null}}]}),
        ),
        (
            INFER,
            json!({"inputs": [text], "outputs": [{"name": "score", "parameters": {"binary_data": false}}]}),
        ),
        (
            INFER,
            json!({"inputs": [ids], "model_name": "electra-mini-sentiment", "model_version": ""}),
        ),
        (INDEX, json!({})),
        (INDEX, json!({"ready": null})),
        (LOAD, json!({"parameters": {}})),
    ]
}

/// Bodies that they refuse.
fn refused_by_inference() -> Vec<(&'static str, Value)> {
    let text = json!({"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]});
    let changed = |field: &str, value: Value| {
        let mut text = text.clone();
        text[field] = value;
        (INFER, json!({"inputs": [text]}))
    };
    vec![
        (INFER, json!({})),
        (INFER, json!({"inputs": null})),
        (INFER, json!({"inputs": []})),
        changed("name", Value::Null),
        changed("datatype", json!("STRING")),
        changed("shape", json!([-1])),
        changed("data", json!("a")),
        changed("data", json!([{"text": "a"}])),
        changed("more", json!(1)),
        changed("parameters", json!({"content_type": "base64"})),
        changed("parameters", json!({"classification": 2})),
        changed("parameters", json!({"binary_data_size": -1})),
        (INFER, json!({"inputs": [text], "more": 1})),
        (INFER, json!({"inputs": [text], "outputs": [{"name": 1}]})),
        (
            INFER,
            json!({"inputs": [text], "outputs": [{"name": "score", "parameters": {"classification": 2}}]}),
        ),
        (
            INFER,
            json!({"inputs": [text], "parameters": {"priority": 6}}),
        ),
        (
            INFER,
            json!({"inputs": [text], "parameters": {"timeout": -1}}),
        ),
        (
            INFER,
            json!({"inputs": [text], "parameters": {"content_type": "base64"}}),
        ),
        (INFER, json!({"inputs": [text], "parameters": {"top_k": 0}})),
        (INDEX, json!({"ready": 1})),
        (INDEX, json!({"all": true})),
        (LOAD, json!({"parameters": {"config": "{}"}})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_take_what_the_server_takes_and_refuse_what_it_refuses() {
    let server = default_server();
    let document = Document::of(&server).await;
    for (cases, is_taken) in [
        (taken_by_tasks(), true),
        (taken_by_pipelines(), true),
        (taken_by_inference(), true),
        (refused_by_tasks(), false),
        (refused_by_pipelines(), false),
        (refused_by_inference(), false),
    ] {
        for (path, body) in cases {
            let operation = document.operation(path);
            let schema = document.validator(operation.request_schema());
            let shown: String = body.to_string().chars().take(200).collect();
            let place = format!("{path} {shown}");
            assert_eq!(schema.is_valid(&body), is_taken, "the schema of {place}");
            let response = server.post(path, &body).send().await.expect("an answer");
            assert_eq!(response.status() == 200, is_taken, "the server at {place}");
            document.check(&operation, response).await;
        }
    }
}

/// The fields that a request may have, from the error for an unknown one.
async fn known_fields(server: &Server, path: &str, body: Value) -> BTreeSet<String> {
    listed_names(server, path, body, "The names are ").await
}

/// The names after these words in an error.
async fn listed_names(server: &Server, path: &str, body: Value, words: &str) -> BTreeSet<String> {
    let error = server
        .refused(server.post(path, &body), 422, "unknown_field")
        .await;
    let sentence = error["error"].as_str().expect("a sentence");
    let (_, names) = sentence.split_once(words).expect(sentence);
    names
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_have_the_fields_that_the_document_names() {
    let server = default_server();
    let document = Document::of(&server).await;
    let schemas = &document.whole["components"]["schemas"];
    let nothing = "something-else-entirely";
    let item = json!({"question": "a", "context": "b"});
    for (path, body, named) in [
        (
            "/discriminate",
            json!({nothing: 1}),
            &["DiscriminateRequest"][..],
        ),
        ("/classify", json!({nothing: 1}), &["ClassifyRequest"]),
        ("/tag", json!({nothing: 1}), &["TagRequest"]),
        ("/qa", json!({nothing: 1}), &["QaQuestion", "QaItems"]),
        ("/qa", json!({"items": [{nothing: 1}]}), &["QaItem"]),
        (INFER, json!({nothing: 1}), &["InferRequest"]),
        (INFER, json!({"inputs": [{nothing: 1}]}), &["InferInput"]),
        (
            INFER,
            json!({"inputs": [], "outputs": [{nothing: 1}]}),
            &["InferRequestedOutput"],
        ),
        (QA, json!({nothing: 1}), &["TextClassificationRequest"]),
        (QA, json!({nothing: 1}), &["TokenClassificationRequest"]),
        (QA, json!({nothing: 1}), &["QuestionAnsweringRequest"]),
        (
            QA,
            json!({"inputs": item, "options": {nothing: 1}}),
            &["PipelineOptions"],
        ),
        (
            SENTIMENT,
            json!({"inputs": "a", "parameters": {nothing: 1}}),
            &["TextClassificationRequest/properties/parameters"],
        ),
        (
            CHUNKER,
            json!({"inputs": "a", "parameters": {nothing: 1}}),
            &["TokenClassificationRequest/properties/parameters"],
        ),
        (
            QA,
            json!({"inputs": item, "parameters": {nothing: 1}}),
            &["QuestionAnsweringRequest/properties/parameters"],
        ),
    ] {
        let described: BTreeSet<String> = named
            .iter()
            .flat_map(|place| {
                let schema = schemas.pointer(&format!("/{place}")).expect(place);
                fields(&schema["properties"])
            })
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(
            described,
            known_fields(&server, path, body).await,
            "{named:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inference_takes_the_parameters_that_the_document_names() {
    let server = default_server();
    let document = Document::of(&server).await;
    let described = &document.whole["components"]["schemas"]["InferParameters"]["properties"];
    let described: BTreeSet<String> = fields(described).map(|(name, _)| name.to_owned()).collect();
    let of_protocol = [
        "priority",
        "timeout",
        "binary_data_output",
        "content_type",
        "classification",
    ];
    let mut known: BTreeSet<String> = of_protocol.map(str::to_owned).into();
    // An option of another task is refused with the names of this task's options.
    for (model, of_another) in [
        ("discriminator", "top_k"),
        ("sentiment", "level"),
        ("chunker", "top_k"),
        ("qa", "level"),
    ] {
        let path = format!("/v2/models/electra-mini-{model}/infer");
        let body = json!({"inputs": [], "parameters": {of_another: 1}});
        known.extend(listed_names(&server, &path, body, "its options are ").await);
    }
    assert_eq!(described, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_as_the_document_describes_them() {
    let models = repository(&["token-bio"]);
    let mut small = config(models.path());
    small.limits.max_body_bytes = 100;
    let server = Server::start(small).await;
    let document = Document::of(&server).await;
    let json = ("content-type", "application/json");
    let question = r#"{"question": "a", "context": "b"}"#;
    for (status, path, headers, body) in [
        (400, "/tag", vec![json], "{".to_owned()),
        (404, "/qa", vec![json], question.to_owned()),
        (413, "/tag", vec![json], "x".repeat(101)),
        (
            415,
            "/tag",
            vec![("content-type", "text/plain")],
            "{}".to_owned(),
        ),
        (
            422,
            "/tag",
            vec![json, ("x-request-priority", "0")],
            "{}".to_owned(),
        ),
        (
            422,
            "/tag",
            vec![json, ("x-request-timeout-ms", "0")],
            "{}".to_owned(),
        ),
    ] {
        let mut request = server.client.post(server.url(path)).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), status, "{path}");
        document.check(&document.operation(path), response).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_elsewhere() {
    let server = default_server();
    let response = server.get("/docs").send().await.expect("an answer");
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .expect("ASCII")
        .to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    let page = response.text().await.expect("text");
    let links = page.split(['"', '\'']).skip(1).step_by(2);
    let files: Vec<&str> = links.filter(|link| link.starts_with("docs/")).collect();
    assert_eq!(files.len(), 3, "{page}");
    for file in files {
        let response = server
            .get(&format!("/{file}"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 200, "{file}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
    assert!(!page.contains("//") && !page.contains("<script>"), "{page}");
    let unknown = server.get("/docs/swagger-ui.css.map");
    server.refused(unknown, 404, "route_not_found").await;
}
