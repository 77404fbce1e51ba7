//! What the server and its models say of themselves: schemas and examples.

use serde_json::{Value, json};

use super::tensors::DATATYPES;
use crate::http::openapi::schema::{answer, count, list, one_of_names, reference, string};

/// The schemas of answers, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let mut schemas = of_server();
    schemas.extend(of_model());
    schemas
}

fn of_server() -> Vec<(&'static str, Value)> {
    let server = answer("The server.")
        .required("name", json!({"const": "electra"}), "What it is.")
        .required("version", string(), "Its version.")
        .required(
            "extensions",
            list(string()),
            "The extensions of the protocol that it has.",
        );
    let live = answer("That the process answers.").required("live", is_true(), "Always true.");
    let ready =
        answer("That requests will be answered.").required("ready", is_true(), "Always true.");
    vec![
        ("ServerMetadata", server.into()),
        ("ServerLive", live.into()),
        ("ServerReady", ready.into()),
    ]
}

fn of_model() -> Vec<(&'static str, Value)> {
    let dimensions = || list(json!({"type": "integer", "minimum": -1}));
    let ready = answer("That a model can be asked.")
        .required("name", string(), "The model, as the path has it.")
        .required("ready", is_true(), "Always true.");
    let tensor = answer("A tensor.")
        .required("name", string(), "Its name.")
        .required(
            "datatype",
            one_of_names(DATATYPES),
            "The type of its elements.",
        )
        .required(
            "shape",
            dimensions(),
            "Its dimensions, the batch first; -1 where any length will do.",
        );
    let model = answer("A model.")
        .required("name", string(), "Its name, never an alias.")
        .required(
            "versions",
            list(string()),
            "The versions that can be asked, or the one that was asked for.",
        )
        .required(
            "platform",
            json!({"const": "onnx_onnxv1"}),
            "How the protocol names a runtime of ONNX graphs.",
        )
        .required(
            "inputs",
            list(reference("TensorMetadata")),
            "Texts first, then token ids. A request sends one or the other.",
        )
        .required(
            "outputs",
            list(reference("TensorMetadata")),
            "Results, which answer texts, then logits, which answer token ids.",
        );
    let config_tensor = answer("A tensor.")
        .required("name", string(), "Its name.")
        .required(
            "data_type",
            string(),
            "The type of its elements: `TYPE_STRING`.",
        )
        .required("dims", dimensions(), "Its dimensions without the batch's.")
        .present(
            "optional",
            is_true(),
            "There where a request can do without it.",
        );
    let config = answer("A model's configuration.")
        .required("name", string(), "Its name.")
        .required(
            "platform",
            json!({"const": "onnx_onnxv1"}),
            "How the protocol names a runtime of ONNX graphs.",
        )
        .required(
            "backend",
            json!({"const": "onnxruntime"}),
            "How Triton names it.",
        )
        .required("max_batch_size", count(), "Most inputs of a request.")
        .required("input", list(reference("ConfigTensor")), "What it takes.")
        .required("output", list(reference("ConfigTensor")), "What it gives.")
        .required(
            "dynamic_batching",
            json!({"type": "object"}),
            "There, since requests are batched together.",
        );
    vec![
        ("ModelReady", ready.into()),
        ("TensorMetadata", tensor.into()),
        ("ModelMetadata", model.into()),
        ("ConfigTensor", config_tensor.into()),
        ("ModelConfig", config.into()),
    ]
}

fn is_true() -> Value {
    json!({"type": "boolean", "const": true})
}

/// An example of what the server is.
pub fn server() -> Value {
    json!({
        "name": "electra",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": [
            "binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics",
        ],
    })
}

/// An example of a model's metadata.
pub fn model() -> Value {
    let tensor = |name: &str, datatype: &str, length: i64| json!({"name": name, "datatype": datatype, "shape": [-1, length]});
    json!({
        "name": "electra-mini-sentiment",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [
            tensor("text", "BYTES", 1),
            tensor("text_pair", "BYTES", 1),
            tensor("input_ids", "INT64", -1),
            tensor("attention_mask", "INT64", -1),
            tensor("token_type_ids", "INT64", -1),
        ],
        "outputs": [
            tensor("result", "BYTES", 1),
            tensor("label", "BYTES", -1),
            tensor("score", "FP32", -1),
            tensor("truncated", "BOOL", 1),
            tensor("logits", "FP32", 2),
        ],
    })
}

/// An example of a model that can be asked.
pub fn ready() -> Value {
    json!({"name": "electra-mini-sentiment", "ready": true})
}

/// An example of a model's configuration.
pub fn config() -> Value {
    let needed = |name: &str, datatype: &str, length: i64| json!({"name": name, "data_type": format!("TYPE_{datatype}"), "dims": [length]});
    let optional = |name: &str, datatype: &str, length: i64| {
        let mut tensor = needed(name, datatype, length);
        tensor["optional"] = true.into();
        tensor
    };
    json!({
        "name": "electra-mini-sentiment",
        "platform": "onnx_onnxv1",
        "backend": "onnxruntime",
        "max_batch_size": 256,
        "input": [
            needed("text", "STRING", 1),
            optional("text_pair", "STRING", 1),
            optional("input_ids", "INT64", -1),
            optional("attention_mask", "INT64", -1),
            optional("token_type_ids", "INT64", -1),
        ],
        "output": [
            needed("result", "STRING", 1),
            needed("label", "STRING", -1),
            needed("score", "FP32", -1),
            needed("truncated", "BOOL", 1),
            needed("logits", "FP32", 2),
        ],
        "dynamic_batching": {},
    })
}
