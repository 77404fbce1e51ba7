//! The Open Inference Protocol in the document: the routes below /v2.

mod examples;
mod repository;
mod tensors;

use serde_json::{Value, json};

use super::operation::{Example, Operation, example};
use super::tags::INFERENCE;
use crate::http::oip::{Done, Live, ModelReady, Ready};
use crate::limits::Limits;
use crate::service::oip::{
    IndexEntry, ModelMetadata, ServerMetadata, StatisticsReport, TritonConfig,
};

/// All operations below /v2.
pub fn operations() -> Vec<Operation> {
    [
        of_server(),
        of_model(),
        vec![
            infer("/v2/models/{name}/infer", "infer").parameters(&["ModelName"]),
            infer("/v2/models/{name}/versions/{version}/infer", "inferVersion")
                .parameters(&["ModelName", "ModelVersion"]),
        ],
        repository::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Answer types with derived schemas.
pub type Answers = (
    ServerMetadata,
    Live,
    Ready,
    ModelMetadata,
    ModelReady,
    TritonConfig,
    StatisticsReport,
    IndexEntry,
    Done,
);

/// Handwritten schemas, by name.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    [tensors::schemas(limits), repository::schemas()].concat()
}

fn of_server() -> Vec<Operation> {
    vec![
        Operation::get("/v2", "serverMetadata", INFERENCE)
            .says(
                "Get server metadata",
                "The server's name and version, and the protocol extensions that it supports.",
            )
            .answers(
                "The server's metadata.",
                "ServerMetadata",
                vec![example("server", "A server", examples::server())],
            )
            .fails_with(&[]),
        Operation::get("/v2/health/live", "serverLive", INFERENCE)
            .says(
                "Check liveness",
                "Returns 200 as long as the process answers, whatever the state of its models.",
            )
            .answers(
                "The server is live.",
                "ServerLive",
                vec![example("live", "Live", json!({"live": true}))],
            )
            .fails_with(&[]),
        Operation::get("/v2/health/ready", "serverReady", INFERENCE)
            .says(
                "Check readiness",
                "Same as GET /health/ready.",
            )
            .answers(
                "The server is ready.",
                "ServerReady",
                vec![example("ready", "Ready", json!({"ready": true}))],
            )
            .fails_with(&[503]),
        Operation::get("/v2/models/stats", "allStatistics", INFERENCE)
            .says(
                "Get statistics of all models",
                "Statistics of every loaded version since it was loaded, over the requests of all routes.",
            )
            .answers(
                "The statistics.",
                "Statistics",
                vec![example("one", "One model", examples::figures())],
            )
            .fails_with(&[]),
    ]
}

/// A GET operation on a model, with two paths: that of the model and that of one version.
struct OfModel {
    paths: [&'static str; 2],
    ids: [&'static str; 2],
    summary: &'static str,
    description: &'static str,
    answer: &'static str,
    schema: &'static str,
    example: fn() -> Value,
}

const OF_MODEL: [OfModel; 4] = [
    OfModel {
        paths: ["/v2/models/{name}", "/v2/models/{name}/versions/{version}"],
        ids: ["modelMetadata", "modelVersionMetadata"],
        summary: "Get model metadata",
        description: "The model's tensors, for both forms of requests: texts first, then token ids.",
        answer: "The model's metadata.",
        schema: "ModelMetadata",
        example: examples::model,
    },
    OfModel {
        paths: [
            "/v2/models/{name}/ready",
            "/v2/models/{name}/versions/{version}/ready",
        ],
        ids: ["modelReady", "modelVersionReady"],
        summary: "Check whether a model is ready",
        description: "If the model is not ready, the error gives the reason.",
        answer: "The model is ready.",
        schema: "ModelReady",
        example: examples::ready,
    },
    OfModel {
        paths: [
            "/v2/models/{name}/config",
            "/v2/models/{name}/versions/{version}/config",
        ],
        ids: ["modelConfig", "modelVersionConfig"],
        summary: "Get a model's configuration",
        description: "The model's configuration, in Triton's format.",
        answer: "The configuration.",
        schema: "ModelConfig",
        example: examples::config,
    },
    OfModel {
        paths: [
            "/v2/models/{name}/stats",
            "/v2/models/{name}/versions/{version}/stats",
        ],
        ids: ["modelStatistics", "modelVersionStatistics"],
        summary: "Get a model's statistics",
        description: "Statistics of the model's loaded versions since each was loaded, over the requests of all \
                      routes.",
        answer: "The statistics.",
        schema: "Statistics",
        example: examples::figures,
    },
];

fn of_model() -> Vec<Operation> {
    let operation = |of: &OfModel, index: usize, parameters: &[&str]| {
        let shown = example("sentiment", "A classification model", (of.example)());
        Operation::get(of.paths[index], of.ids[index], INFERENCE)
            .says(of.summary, of.description)
            .parameters(parameters)
            .answers(of.answer, of.schema, vec![shown])
            .fails_with(&[404, 503])
    };
    let both = |of: &OfModel| {
        [
            operation(of, 0, &["ModelName"]),
            operation(of, 1, &["ModelName", "ModelVersion"]),
        ]
    };
    OF_MODEL.iter().flat_map(both).collect()
}

fn infer(path: &'static str, id: &'static str) -> Operation {
    let binary = json!({"schema": {
        "type": "string",
        "contentEncoding": "binary",
        "description": "The JSON, whose length is given by the header Inference-Header-Content-Length, then the \
                        binary data of its tensors, one after the other, in little-endian order. Each BYTES element \
                        follows its length, a u32.",
    }});
    Operation::post(path, id, INFERENCE)
        .says(
            "Run inference on tensors",
            "For texts, in BYTES tensors, returns the results of the task's own route as tensors; for token ids, \
             returns the graph's logits. GET /v2/models/{name} lists the tensors. Tensors may be sent as binary data \
             after the JSON. Bodies may be compressed with gzip or deflate; answers are compressed for clients that \
             accept it.",
        )
        .parameters(&["RequestTimeout", "RequestPriority", "InferenceHeaderContentLength"])
        .takes("InferRequest", requests())
        .or_takes("application/octet-stream", binary.clone())
        .answers("One tensor per output.", "InferResponse", answers())
        .or_answers("application/octet-stream", binary)
        .answer_headers(&[
            ("server-timing", "ServerTiming"),
            ("inference-header-content-length", "InferenceHeaderContentLength"),
        ])
        .fails_with(&[400, 404, 413, 415, 422, 429, 503, 504])
}

fn requests() -> Vec<Example> {
    vec![
        example(
            "text",
            "Best label of a text",
            json!({
                "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["A wonderful, moving film."]}],
                "outputs": [{"name": "label"}, {"name": "score"}],
                "parameters": {"top_k": 1},
            }),
        ),
        example(
            "ids",
            "Logits of token ids",
            json!({
                "id": "4711",
                "inputs": [{"name": "input_ids", "datatype": "INT64", "shape": [1, 4], "data": [[101, 2204, 2143, 102]]}],
            }),
        ),
    ]
}

fn answers() -> Vec<Example> {
    vec![
        example(
            "text",
            "Best label of a text",
            json!({
                "model_name": "electra-mini-sentiment",
                "model_version": "1",
                "outputs": [
                    {"name": "label", "datatype": "BYTES", "shape": [1, 1], "data": ["positive"]},
                    {"name": "score", "datatype": "FP32", "shape": [1, 1], "data": [0.998]},
                ],
            }),
        ),
        example(
            "ids",
            "Logits of token ids",
            json!({
                "model_name": "electra-mini-sentiment",
                "model_version": "1",
                "id": "4711",
                "outputs": [{"name": "logits", "datatype": "FP32", "shape": [1, 2], "data": [-3.02, 3.23]}],
            }),
        ),
    ]
}
