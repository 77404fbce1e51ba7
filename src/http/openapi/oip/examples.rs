//! Examples of the metadata, configuration and statistics of the server and its models.

use serde_json::{Value, json};

/// An example of the server's metadata.
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

/// An example of a ready model.
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

/// An example of statistics, after two requests.
pub fn figures() -> Value {
    let total = |count: u64, ns: u64| json!({"count": count, "ns": ns});
    json!({"model_stats": [{
        "name": "electra-mini-sentiment",
        "version": "1",
        "last_inference": 1_795_491_651_947_u64,
        "inference_count": 2,
        "execution_count": 2,
        "inference_stats": {
            "success": total(2, 35_604_903),
            "fail": total(0, 0),
            "queue": total(2, 9_719_257),
            "compute_input": total(2, 267_620),
            "compute_infer": total(2, 15_658_814),
            "compute_output": total(2, 133_910),
            "cache_hit": total(0, 0),
            "cache_miss": total(0, 0),
        },
        "batch_stats": [{
            "batch_size": 1,
            "compute_input": total(0, 0),
            "compute_infer": total(2, 15_658_814),
            "compute_output": total(0, 0),
        }],
    }]})
}
