//! The model-repository extension in the document: the index, loading and unloading.

use serde_json::{Value, json};

use crate::http::openapi::operation::{Operation, example};
use crate::http::openapi::schema::{list, reference, request, with};
use crate::http::openapi::tags::MODELS;

/// Statuses of the errors that all three operations share.
const STATUSES: &[u16] = &[400, 413, 415, 422, 503, 504];

/// POST /v2/repository/index, /v2/repository/models/{name}/load, /unload.
pub fn operations() -> Vec<Operation> {
    let index = Operation::post("/v2/repository/index", "repositoryIndex", MODELS)
        .says(
            "List model versions",
            "All versions of all models, each with its state. The body is optional.",
        )
        .may_take(
            "IndexRequest",
            vec![example("ready", "Only ready versions", json!({"ready": true}))],
        )
        .answers(
            "All versions of all models.",
            "Index",
            vec![example(
                "one",
                "One version",
                json!([{"name": "electra-mini-sentiment", "version": "1", "state": "READY", "reason": ""}]),
            )],
        );
    let load = control("load")
        .says(
            "Load a model",
            "Loads a model, or reloads it if its files have changed. Returns once the model serves. Until then, and \
             if loading fails, the version that served before keeps serving. The body is optional: a model is loaded \
             from its folder alone.",
        )
        .may_take(
            "LoadRequest",
            vec![example("nothing", "No parameters", json!({"parameters": {}}))],
        );
    let unload = control("unload")
        .says(
            "Unload a model",
            "Unloads a model until it is loaded again. Requests that it has already accepted are still answered. The \
             body is optional.",
        )
        .may_take(
            "UnloadRequest",
            vec![example(
                "dependents",
                "The parameters that Triton's clients send",
                json!({"parameters": {"unload_dependents": false}}),
            )],
        );
    let all = [index, load.fails_with(&[404]), unload.fails_with(&[404])];
    all.map(|operation| {
        operation
            .parameters(&["RequestTimeout", "RequestPriority"])
            .fails_with(STATUSES)
    })
    .into()
}

fn control(verb: &str) -> Operation {
    let (path, id, done) = match verb {
        "load" => (
            "/v2/repository/models/{name}/load",
            "loadModel",
            "The model is loaded.",
        ),
        _ => (
            "/v2/repository/models/{name}/unload",
            "unloadModel",
            "The model is unloaded.",
        ),
    };
    Operation::post(path, id, MODELS)
        .parameters(&["ModelName"])
        .answers(done, "Done", vec![example("done", "Done", json!({}))])
}

/// Handwritten schemas, by name.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let nothing = request("No parameters.");
    let load = request("The body of a load request.").optional(
        "parameters",
        nothing.into(),
        "No parameters are accepted: a model is loaded from its folder alone, with the settings of the electra.toml \
         there.",
    );
    let dependents = request("Parameters of an unload request.").present(
        "unload_dependents",
        json!({"type": "boolean"}),
        "No effect: no model depends on another.",
    );
    let unload = request("The body of an unload request.").optional(
        "parameters",
        dependents.into(),
        "Parameters that Triton's clients send.",
    );
    vec![
        (
            "Index",
            with(
                list(reference("IndexEntry")),
                "description",
                "All versions of all models.",
            ),
        ),
        ("LoadRequest", load.into()),
        ("UnloadRequest", unload.into()),
    ]
}
