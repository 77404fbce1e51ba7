//! What models did since they were loaded: schemas and an example.

use serde_json::{Value, json};

use crate::http::openapi::schema::{answer, count, list, reference, string};

/// The schemas of answers, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let total = || reference("DurationTotal");
    let duration = answer("How often, and how long in all.")
        .required("count", count(), "How often.")
        .required("ns", count(), "How long, in nanoseconds.");
    let requests = answer("What requests took.")
        .required("success", total(), "Requests that were answered.")
        .required(
            "fail",
            total(),
            "Requests that were taken and not answered.",
        )
        .required("queue", total(), "Waiting for a worker.")
        .required("compute_input", total(), "Making tokens of texts.")
        .required("compute_infer", total(), "Running the graph.")
        .required("compute_output", total(), "Making results of logits.")
        .required("cache_hit", total(), "Nothing: every answer is computed.")
        .required("cache_miss", total(), "Nothing.");
    let batch = answer("What batches of one size took.")
        .required("batch_size", count(), "Sequences of a batch.")
        .required("compute_input", total(), "Nothing.")
        .required("compute_infer", total(), "Running the graph.")
        .required("compute_output", total(), "Nothing.");
    let model = answer("The figures of one loaded version.")
        .required("name", string(), "The model.")
        .required("version", string(), "The version.")
        .required(
            "last_inference",
            count(),
            "When a batch last ended, in milliseconds since 1970; 0 where none has.",
        )
        .required(
            "inference_count",
            count(),
            "Sequences that were run: texts, or windows of long ones.",
        )
        .required("execution_count", count(), "Batches that were run.")
        .required(
            "inference_stats",
            reference("InferenceStatistics"),
            "What requests took.",
        )
        .required(
            "batch_stats",
            list(reference("BatchStatistics")),
            "What batches took, the smallest first.",
        );
    let report = answer("The figures of some models.").required(
        "model_stats",
        list(reference("ModelStatistics")),
        "By name, then by version.",
    );
    vec![
        ("DurationTotal", duration.into()),
        ("InferenceStatistics", requests.into()),
        ("BatchStatistics", batch.into()),
        ("ModelStatistics", model.into()),
        ("Statistics", report.into()),
    ]
}

/// An example of two requests' figures.
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
