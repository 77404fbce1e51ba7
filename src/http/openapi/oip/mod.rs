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

/// Everything below /v2.
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

/// What is derived of answers.
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

/// The schemas that are made by hand, by their names.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    [tensors::schemas(limits), repository::schemas()].concat()
}

fn of_server() -> Vec<Operation> {
    vec![
        Operation::get("/v2", "serverMetadata", INFERENCE)
            .says(
                "What the server is",
                "Its name, its version and the extensions of the protocol that it has.",
            )
            .answers(
                "The server.",
                "ServerMetadata",
                vec![example("server", "A server", examples::server())],
            )
            .fails_with(&[]),
        Operation::get("/v2/health/live", "serverLive", INFERENCE)
            .says(
                "Whether the process answers",
                "It does, whatever its models do.",
            )
            .answers(
                "It does.",
                "ServerLive",
                vec![example("live", "Live", json!({"live": true}))],
            )
            .fails_with(&[]),
        Operation::get("/v2/health/ready", "serverReady", INFERENCE)
            .says(
                "Whether requests will be answered",
                "As GET /health/ready says it.",
            )
            .answers(
                "They will.",
                "ServerReady",
                vec![example("ready", "Ready", json!({"ready": true}))],
            )
            .fails_with(&[503]),
        Operation::get("/v2/models/stats", "allStatistics", INFERENCE)
            .says(
                "The figures of all models",
                "Those of every loaded version, whichever routes were asked, since it was loaded.",
            )
            .answers(
                "The figures.",
                "Statistics",
                vec![example("one", "One model", examples::figures())],
            )
            .fails_with(&[]),
    ]
}

/// What a GET says of a model, by the path of the model and by that of one version.
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
        summary: "What a model takes and gives",
        description: "Its tensors by both ways of asking: texts first, then token ids.",
        answer: "The model.",
        schema: "ModelMetadata",
        example: examples::model,
    },
    OfModel {
        paths: [
            "/v2/models/{name}/ready",
            "/v2/models/{name}/versions/{version}/ready",
        ],
        ids: ["modelReady", "modelVersionReady"],
        summary: "Whether a model can be asked",
        description: "The error says why it can't.",
        answer: "It can.",
        schema: "ModelReady",
        example: examples::ready,
    },
    OfModel {
        paths: [
            "/v2/models/{name}/config",
            "/v2/models/{name}/versions/{version}/config",
        ],
        ids: ["modelConfig", "modelVersionConfig"],
        summary: "How a model is configured",
        description: "Its configuration, as Triton shapes it.",
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
        summary: "A model's figures",
        description: "Those of its loaded versions, whichever routes were asked, since each was loaded.",
        answer: "The figures.",
        schema: "Statistics",
        example: examples::figures,
    },
];

fn of_model() -> Vec<Operation> {
    let operation = |of: &OfModel, index: usize, parameters: &[&str]| {
        let shown = example("sentiment", "A model that classifies", (of.example)());
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
        "description": "The JSON, as long as the header Inference-Header-Content-Length says, then the binary data of its tensors, \
                        one after the other: little-endian; of BYTES, each element behind its length, a u32.",
    }});
    Operation::post(path, id, INFERENCE)
        .says(
            "Ask a model by tensors",
            "Texts, in BYTES tensors, are answered by the results of the task's own route as tensors; token ids by the graph's \
             logits. GET /v2/models/{name} names the tensors. They may be binary, behind the JSON. Bodies may be compressed by \
             gzip or deflate, and answers are for clients that accept it.",
        )
        .parameters(&["RequestTimeout", "RequestPriority", "InferenceHeaderContentLength"])
        .takes("InferRequest", requests())
        .or_takes("application/octet-stream", binary.clone())
        .answers("One tensor for each output.", "InferResponse", answers())
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
            "A text, answered by its best label",
            json!({
                "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["A wonderful, moving film."]}],
                "outputs": [{"name": "label"}, {"name": "score"}],
                "parameters": {"top_k": 1},
            }),
        ),
        example(
            "ids",
            "Token ids, answered by logits",
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
            "A text, answered by its best label",
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
            "Token ids, answered by logits",
            json!({
                "model_name": "electra-mini-sentiment",
                "model_version": "1",
                "id": "4711",
                "outputs": [{"name": "logits", "datatype": "FP32", "shape": [1, 2], "data": [-3.02, 3.23]}],
            }),
        ),
    ]
}
