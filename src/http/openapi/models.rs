//! The native routes of models in the document: what there is.

use serde_json::{Value, json};

use super::operation::{Operation, example};
use super::schema::{answer, count, list, one_of_names, reference, string};
use super::tags::MODELS;

const STATES: &[&str] = &["loading", "ready", "failed", "unloaded"];
/// How graphs' numbers are called.
pub const PRECISIONS: &[&str] = &["fp32", "fp16", "int8"];

/// GET /models, /models/{name}.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/models", "listModels", MODELS)
            .says(
                "List the models",
                "All models of the repository, by name, with their task, their versions and the state of each.",
            )
            .answers(
                "All models, by name.",
                "Models",
                vec![example("one", "One model", json!({"models": [sentiment()]}))],
            )
            .fails_with(&[]),
        Operation::get("/models/{name}", "getModel", MODELS)
            .says("Describe a model", "One model, by its name or an alias.")
            .parameters(&["ModelName"])
            .answers(
                "The model.",
                "Model",
                vec![
                    example("ready", "A model that serves", sentiment()),
                    example("failed", "A model whose files can't be loaded", broken()),
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

/// The schemas of answers, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let models = answer("What there is.").required("models", list(reference("Model")), "By name.");
    let version = answer("One version of a model.")
        .required("version", string(), "Its number.")
        .required("state", one_of_names(STATES), "Whether it answers.")
        .present("reason", string(), REASON)
        .present("precision", one_of_names(PRECISIONS), "Of a loaded one.")
        .present(
            "size_bytes",
            count(),
            "Bytes of its files, of a loaded one.",
        );
    let tensor = answer("One input of a graph.")
        .required("name", string(), "Its name.")
        .required(
            "datatype",
            string(),
            "Its element type, as the Open Inference Protocol names it.",
        )
        .required(
            "shape",
            list(json!({"type": "integer", "minimum": -1})),
            "Its dimensions; -1 where any length will do.",
        );
    vec![
        ("Models", models.into()),
        ("Model", model()),
        ("ModelVersion", version.into()),
        ("GraphInput", tensor.into()),
    ]
}

const REASON: &str = "Why files of it, as they are now, could not be loaded; what was loaded before may still answer.";

fn model() -> Value {
    let task = json!({"type": ["string", "null"], "enum": ["discriminate", "classify", "tag", "qa", null]});
    answer("One model. What is known only of a loaded model is absent from the others.")
        .required("name", string(), "Its name.")
        .required(
            "task",
            task,
            "What it does; null where that is not known yet.",
        )
        .required("aliases", list(string()), "Other names it can be asked by.")
        .required(
            "versions",
            list(string()),
            "Its versions, the lowest first; a folder without numbered versions is version 1.",
        )
        .present(
            "version",
            string(),
            "The version that answers who names none, if one does.",
        )
        .required(
            "state",
            one_of_names(STATES),
            "The state of that version, or of the one that should be it.",
        )
        .present("reason", string(), REASON)
        .required(
            "version_states",
            list(reference("ModelVersion")),
            "Each version's state, in the order of `versions`.",
        )
        .required(
            "default",
            json!({"type": "boolean"}),
            "Whether its task's route uses it where a request names no model.",
        )
        .present(
            "precision",
            one_of_names(PRECISIONS),
            "The numbers its graph is of.",
        )
        .present(
            "device",
            string(),
            "What computes it: `cpu`, `cuda:0`, `tensorrt:0`.",
        )
        .present(
            "layout",
            one_of_names(&["packed", "padded"]),
            "How sequences stand in a batch.",
        )
        .present(
            "max_tokens",
            count(),
            "The longest sequence in tokens, special ones included.",
        )
        .present(
            "labels",
            list(string()),
            "Its labels, in the order of its scores.",
        )
        .present(
            "inputs",
            list(reference("GraphInput")),
            "The graph's inputs.",
        )
        .present("size_bytes", count(), "Bytes of its files.")
        .present(
            "source",
            string(),
            "The checkpoint that it was pulled from, if it was.",
        )
        .into()
}
