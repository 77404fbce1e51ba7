//! The native routes of models in the document.

use serde_json::{Value, json};

use super::operation::{Operation, example};
use super::tags::MODELS;

/// GET /models, /models/{name}.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/models", "listModels", MODELS)
            .says(
                "List models",
                "All models of the repository, sorted by name, with the task, the versions and the state of each.",
            )
            .answers(
                "All models, sorted by name.",
                "Models",
                vec![example("one", "One model", json!({"models": [sentiment()]}))],
            )
            .fails_with(&[]),
        Operation::get("/models/{name}", "getModel", MODELS)
            .says("Describe a model", "One model, by name or alias.")
            .parameters(&["ModelName"])
            .answers(
                "The model.",
                "Model",
                vec![
                    example("ready", "A ready model", sentiment()),
                    example("failed", "A model that failed to load", broken()),
                ],
            )
            .fails_with(&[404]),
    ]
}

fn sentiment() -> Value {
    json!({
        "name": "electra-mini-sentiment",
        "task": "classify",
        "aliases": [],
        "versions": ["1"],
        "version": "1",
        "state": "ready",
        "version_states": [
            {"version": "1", "state": "ready", "precision": "int8", "size_bytes": 24_174_455},
        ],
        "default": true,
        "precision": "int8",
        "device": "cpu",
        "layout": "packed",
        "max_tokens": 512,
        "labels": ["negative", "positive"],
        "inputs": [
            {"name": "input_ids", "datatype": "INT64", "shape": [-1]},
            {"name": "token_type_ids", "datatype": "INT64", "shape": [-1]},
            {"name": "position_ids", "datatype": "INT64", "shape": [-1]},
            {"name": "sequence_starts", "datatype": "INT64", "shape": [-1]},
        ],
        "size_bytes": 24_174_455,
    })
}

fn broken() -> Value {
    let reason = "tokenizer.json is not valid JSON: EOF while parsing a value at line 1 column 0.";
    json!({
        "name": "electra-broken",
        "task": null,
        "aliases": [],
        "versions": ["1"],
        "state": "failed",
        "reason": reason,
        "version_states": [{"version": "1", "state": "failed", "reason": reason}],
        "default": false,
    })
}
