//! The Open Inference Protocol in the document: the routes below /v2.

use serde_json::{Value, json};

use super::operation::{Operation, example};
use super::schema::{answer, count, list, one_of_names, reference, request, string};
use super::{INFERENCE, MODELS};

const DATATYPES: &[&str] = &["BOOL", "INT32", "INT64", "FP32", "BYTES"];

/// Everything below /v2 but loading and unloading.
pub fn operations() -> Vec<Operation> {
    let mut operations = of_server();
    operations.extend(of_model());
    operations.extend([
        infer("/v2/models/{name}/infer", "infer").parameters(&["ModelName"]),
        infer("/v2/models/{name}/versions/{version}/infer", "inferVersion")
            .parameters(&["ModelName", "ModelVersion"]),
    ]);
    operations
}

fn of_server() -> Vec<Operation> {
    let index = Operation::post("/v2/repository/index", "repositoryIndex", MODELS)
        .says(
            "List the models by version",
            "The model-repository extension's list. The body may be left out.",
        )
        .parameters(&["RequestTimeout"])
        .takes(
            "IndexRequest",
            vec![example(
                "ready",
                "Those that can be asked",
                json!({"ready": true}),
            )],
        )
        .answers("Each version of each model.", "Index", vec![])
        .fails_with(&[400, 413, 415, 422, 503, 504]);
    vec![
        Operation::get("/v2", "serverMetadata", INFERENCE)
            .says(
                "What the server is",
                "Its name, its version and the extensions of the protocol that it has.",
            )
            .answers("The server.", "ServerMetadata", vec![])
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
                "Those of every loaded version, of all routes, since it was loaded.",
            )
            .answers("The figures.", "Statistics", vec![])
            .fails_with(&[]),
        body_is_optional(index),
    ]
}

/// Where there is a body, it may be left out.
pub fn body_is_optional(mut operation: Operation) -> Operation {
    operation.document["requestBody"]["required"] = false.into();
    operation
}

/// What a GET says of a model, by the path of the model and by that of one version.
struct OfModel {
    paths: [&'static str; 2],
    ids: [&'static str; 2],
    summary: &'static str,
    description: &'static str,
    schema: &'static str,
}

const OF_MODEL: [OfModel; 4] = [
    OfModel {
        paths: ["/v2/models/{name}", "/v2/models/{name}/versions/{version}"],
        ids: ["modelMetadata", "modelVersionMetadata"],
        summary: "What a model takes and gives",
        description: "Its tensors by both ways of asking: texts first, then token ids.",
        schema: "ModelMetadata",
    },
    OfModel {
        paths: [
            "/v2/models/{name}/ready",
            "/v2/models/{name}/versions/{version}/ready",
        ],
        ids: ["modelReady", "modelVersionReady"],
        summary: "Whether a model can be asked",
        description: "Else the error says why not.",
        schema: "ModelReady",
    },
    OfModel {
        paths: [
            "/v2/models/{name}/config",
            "/v2/models/{name}/versions/{version}/config",
        ],
        ids: ["modelConfig", "modelVersionConfig"],
        summary: "How a model is configured",
        description: "Its configuration, as Triton shapes it.",
        schema: "ModelConfig",
    },
    OfModel {
        paths: [
            "/v2/models/{name}/stats",
            "/v2/models/{name}/versions/{version}/stats",
        ],
        ids: ["modelStatistics", "modelVersionStatistics"],
        summary: "A model's figures",
        description: "Those of its loaded versions, of all routes, since each was loaded.",
        schema: "Statistics",
    },
];

fn of_model() -> Vec<Operation> {
    let operation = |of: &OfModel, index: usize, parameters: &[&str]| {
        Operation::get(of.paths[index], of.ids[index], INFERENCE)
            .says(of.summary, of.description)
            .parameters(parameters)
            .answers("It is this.", of.schema, vec![])
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
    let text = json!({
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["A warm, funny and wonderfully acted film."]}],
        "outputs": [{"name": "label"}],
        "parameters": {"top_k": 1},
    });
    let ids = json!({
        "id": "4711",
        "inputs": [{"name": "input_ids", "datatype": "INT64", "shape": [2, 3], "data": [[2, 5, 3], [2, 3, 0]]},
            {"name": "attention_mask", "datatype": "INT64", "shape": [2, 3], "data": [1, 1, 1, 1, 1, 0]}],
    });
    let answered = json!({
        "model_name": "electra-mini-sentiment",
        "model_version": "1",
        "outputs": [{"name": "label", "datatype": "BYTES", "shape": [1, 1], "data": ["positive"]}],
    });
    let binary = json!({"schema": {
        "type": "string",
        "format": "binary",
        "description": "The JSON, as long as the header Inference-Header-Content-Length says, then the binary data of its tensors.",
    }});
    let mut operation = Operation::post(path, id, INFERENCE)
        .says(
            "Ask a model by tensors",
            "Texts, in BYTES tensors, are answered by the results of the task's own route as tensors; token ids by the graph's \
             logits. Parameters are `priority`, `timeout` in microseconds, and the options of the task's own route. Tensors may be \
             binary, behind the JSON; bodies may be compressed by gzip or deflate.",
        )
        .parameters(&["RequestTimeout", "RequestPriority"])
        .takes(
            "InferRequest",
            vec![
                example("text", "A text", text),
                example("ids", "Token ids of two sequences", ids),
            ],
        )
        .answers(
            "One tensor an output.",
            "InferResponse",
            vec![example("text", "A text", answered)],
        )
        .answer_headers(&[("server-timing", "ServerTiming")])
        .fails_with(&[400, 404, 413, 415, 422, 429, 503, 504]);
    for place in ["/requestBody/content", "/responses/200/content"] {
        if let Some(contents) = operation.document.pointer_mut(place) {
            contents["application/octet-stream"] = binary.clone();
        }
    }
    operation
}

/// The schemas of requests and answers, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let mut schemas = of_requests();
    schemas.extend(of_repository());
    schemas.extend(of_metadata());
    schemas.extend(of_statistics());
    schemas
}

fn tensor_shape() -> Value {
    list(json!({"type": "integer", "minimum": 0}))
}

fn of_requests() -> Vec<(&'static str, Value)> {
    let parameters = json!({
        "type": "object",
        "description": "Each true, false, a number or a string.",
        "additionalProperties": {"type": ["boolean", "number", "string"]},
    });
    let data = json!({"type": "array", "items": {}});
    let input = request("A tensor that is sent.")
        .required("name", string(), "Its name.")
        .required("datatype", one_of_names(DATATYPES), "Its elements.")
        .required("shape", tensor_shape(), "Its dimensions.")
        .optional(
            "data",
            data.clone(),
            "Its elements, row after row, flat or nested; absent where they are binary.",
        )
        .optional(
            "parameters",
            reference("Parameters"),
            "`binary_data_size`: its bytes behind the JSON.",
        );
    let output = request("An output that is wanted.")
        .required("name", string(), "Its name.")
        .optional(
            "parameters",
            reference("Parameters"),
            "`binary_data`: whether it is wanted in binary.",
        );
    let asked = request("Tensors for a model.")
        .required(
            "inputs",
            list(reference("InferInput")),
            "The tensors, in any order.",
        )
        .optional(
            "outputs",
            list(reference("InferRequestedOutput")),
            "Those wanted, in this order; all where none is named.",
        )
        .optional(
            "parameters",
            reference("Parameters"),
            "The request's parameters.",
        )
        .optional(
            "id",
            string(),
            "The client's name for the request, which its answer repeats.",
        )
        .optional("model_name", string(), "What the path says, or nothing.")
        .optional("model_version", string(), "What the path says, or nothing.");
    let tensor = answer("A tensor that is answered.")
        .required("name", string(), "Its name.")
        .required("datatype", one_of_names(DATATYPES), "Its elements.")
        .required("shape", tensor_shape(), "Its dimensions.")
        .present(
            "data",
            data,
            "Its elements, flat; absent where they are binary.",
        )
        .present(
            "parameters",
            reference("Parameters"),
            "`binary_data_size`: its bytes behind the JSON.",
        );
    let answered = answer("What a model answers.")
        .required("model_name", string(), "The model, never an alias.")
        .required("model_version", string(), "The version that answered.")
        .present("id", string(), "That of the request.")
        .required(
            "outputs",
            list(reference("InferOutput")),
            "In the order that was asked for.",
        );
    vec![
        ("Parameters", parameters),
        ("InferInput", input.into()),
        ("InferRequestedOutput", output.into()),
        ("InferRequest", asked.into()),
        ("InferOutput", tensor.into()),
        ("InferResponse", answered.into()),
    ]
}

fn of_repository() -> Vec<(&'static str, Value)> {
    let index = request("Which versions to list.").optional(
        "ready",
        json!({"type": "boolean"}),
        "Those alone that can be asked.",
    );
    let entry = answer("One version of a model.")
        .required("name", string(), "The model.")
        .required("version", string(), "The version.")
        .required(
            "state",
            one_of_names(&["READY", "LOADING", "UNAVAILABLE"]),
            "Whether it can be asked.",
        )
        .required(
            "reason",
            string(),
            "Why it can't, or why its files as they are now could not be loaded; else empty.",
        );
    let control = request("What loading or unloading is told, which is next to nothing.").optional(
        "parameters",
        reference("Parameters"),
        "Of unloading: `unload_dependents`, which changes nothing.",
    );
    let index_list = json!({
        "type": "array",
        "description": "Each version of each model.",
        "items": reference("IndexEntry"),
    });
    vec![
        ("IndexRequest", index.into()),
        ("Index", index_list),
        ("IndexEntry", entry.into()),
        ("ControlRequest", control.into()),
    ]
}

fn of_metadata() -> Vec<(&'static str, Value)> {
    let truth = || json!({"type": "boolean", "const": true});
    let dimensions = || list(json!({"type": "integer", "minimum": -1}));
    let server = answer("The server.")
        .required("name", string(), "`electra`.")
        .required("version", string(), "Its version.")
        .required(
            "extensions",
            list(string()),
            "The extensions of the protocol that it has.",
        );
    let live = answer("That the process answers.").required("live", truth(), "Always true.");
    let ready =
        answer("That requests will be answered.").required("ready", truth(), "Always true.");
    let model_ready = answer("That a model can be asked.")
        .required("name", string(), "The model, as the path has it.")
        .required("ready", truth(), "Always true.");
    let tensor = answer("A tensor.")
        .required("name", string(), "Its name.")
        .required("datatype", one_of_names(DATATYPES), "Its elements.")
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
        .required("platform", string(), "`onnx_onnxv1`.")
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
        .required("data_type", string(), "Its elements: `TYPE_STRING`.")
        .required("dims", dimensions(), "Its dimensions without the batch's.")
        .present(
            "optional",
            truth(),
            "There, and true, where a request can do without it.",
        );
    let config = answer("A model's configuration.")
        .required("name", string(), "Its name.")
        .required("platform", string(), "`onnx_onnxv1`.")
        .required("backend", string(), "`onnxruntime`.")
        .required("max_batch_size", count(), "Most inputs of a request.")
        .required("input", list(reference("ConfigTensor")), "What it takes.")
        .required("output", list(reference("ConfigTensor")), "What it gives.")
        .required(
            "dynamic_batching",
            json!({"type": "object"}),
            "There, since requests are batched together.",
        );
    vec![
        ("ServerMetadata", server.into()),
        ("ServerLive", live.into()),
        ("ServerReady", ready.into()),
        ("ModelReady", model_ready.into()),
        ("TensorMetadata", tensor.into()),
        ("ModelMetadata", model.into()),
        ("ConfigTensor", config_tensor.into()),
        ("ModelConfig", config.into()),
    ]
}

fn of_statistics() -> Vec<(&'static str, Value)> {
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
