//! The Open Inference Protocol: inputs as BYTES tensors, all options as parameters, and results from the output
//! `result`.

use electra_server::task::Task;
use serde_json::{Map, Value, json};

use super::Outcome;
use super::table::Case;
use crate::harness::Server;

/// A case as tensors.
pub struct Tensors {
    pub model: String,
    /// Texts by input name, one per row.
    pub inputs: Vec<(&'static str, Vec<String>)>,
    pub parameters: Map<String, Value>,
}

impl From<&Case> for Tensors {
    fn from(case: &Case) -> Self {
        let mut parameters = case.body.as_object().expect("an object").clone();
        // The protocol has no default models.
        let model = parameters
            .remove("model")
            .map_or(default_model(case.task), |model| string(&model));
        let mut inputs: Vec<(&str, Vec<String>)> = Vec::new();
        let mut add = |name, text: &Value| match inputs.iter_mut().find(|(found, _)| *found == name)
        {
            Some((_, texts)) => texts.push(string(text)),
            None => inputs.push((name, vec![string(text)])),
        };
        for name in ["question", "context"] {
            if let Some(text) = parameters.remove(name) {
                add(name, &text);
            }
        }
        for item in list(parameters.remove("items")) {
            add("question", &item["question"]);
            add("context", &item["context"]);
        }
        let texts = parameters.remove("text");
        let none = texts == Some(json!([]));
        for text in list(texts) {
            if text.is_array() {
                add("text", &text[0]);
                add("text_pair", &text[1]);
            } else {
                add("text", &text);
            }
        }
        if none {
            inputs.push(("text", Vec::new()));
        }
        Self {
            model,
            inputs,
            parameters,
        }
    }
}

fn default_model(task: Task) -> String {
    let what = match task {
        Task::Discriminate => "discriminator",
        Task::Classify => "sentiment",
        Task::Tag => "chunker",
        Task::Qa => "qa",
    };
    format!("electra-mini-{what}")
}

/// One value or a list of them.
fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(values)) => values,
        value => Vec::from_iter(value),
    }
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// The answer in the form of HTTP's, from the rows of the output `result`.
pub fn answered<'a>(model: &str, results: impl Iterator<Item = &'a str>) -> Value {
    let results = results.map(|result| serde_json::from_str(result).expect("JSON"));
    json!({"model": model, "results": results.collect::<Vec<Value>>()})
}

/// Sends cases over HTTP, all in JSON.
pub async fn send(server: &Server, cases: &[Case]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for case in cases {
        let Tensors {
            model,
            inputs,
            parameters,
        } = case.into();
        let inputs = inputs.iter().map(|(name, texts)| {
            json!({"name": name, "datatype": "BYTES", "shape": [texts.len(), 1], "data": texts})
        });
        let body = json!({
            "inputs": inputs.collect::<Vec<_>>(), "outputs": [{"name": "result"}], "parameters": parameters,
        });
        let request = server.post(&format!("/v2/models/{model}/infer"), &body);
        let (status, answer) = server.send(request).await;
        outcomes.push(if status.is_success() {
            let rows = answer["outputs"][0]["data"].as_array().expect("rows");
            let rows = rows.iter().map(|row| row.as_str().expect("JSON"));
            Ok(answered(
                answer["model_name"].as_str().expect("a name"),
                rows,
            ))
        } else {
            Err(answer["code"].as_str().expect("a code").to_owned())
        });
    }
    outcomes
}
