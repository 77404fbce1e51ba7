//! The model-repository extension in the document: the index, loading and unloading.

use serde_json::{Value, json};

use crate::http::openapi::operation::{Operation, example};
use crate::http::openapi::schema::{list, reference, request, with};
use crate::http::openapi::tags::MODELS;

/// What a request with a body that may be left out can end in, whatever it asks for.
const STATUSES: &[u16] = &[400, 413, 415, 422, 503, 504];

/// POST /v2/repository/index, /v2/repository/models/{name}/load, /unload.
pub fn operations() -> Vec<Operation> {
    let index = Operation::post("/v2/repository/index", "repositoryIndex", MODELS)
        .says(
            "List the models by version",
            "Each version of each model, and whether it can be asked. The body may be left out.",
        )
        .may_take(
            "IndexRequest",
            vec![example("ready", "Those alone that can be asked", json!({"ready": true}))],
        )
        .answers(
            "Each version of each model.",
            "Index",
            vec![example(
                "one",
                "One version",
                json!([{"name": "electra-mini-sentiment", "version": "1", "state": "READY", "reason": ""}]),
            )],
        );
    let load = control("load")
        .says(
            "Put a model in service",
            "Loads a model, or loads it again where its files have changed. It is answered when the model serves; until then, and \
             where it fails, what served before goes on. The body may be left out: a model is what its folder holds.",
        )
        .may_take(
            "LoadRequest",
            vec![example("nothing", "What clients send who have nothing to say", json!({"parameters": {}}))],
        );
    let unload = control("unload")
        .says(
            "Take a model out of service",
            "Unloads a model until it is loaded again; what it has accepted is still answered. The body may be left out.",
        )
        .may_take(
            "UnloadRequest",
            vec![example(
                "dependents",
                "What Triton's clients send",
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
    let (path, id) = match verb {
        "load" => ("/v2/repository/models/{name}/load", "loadModel"),
        _ => ("/v2/repository/models/{name}/unload", "unloadModel"),
    };
    Operation::post(path, id, MODELS)
        .parameters(&["ModelName"])
        .answers(
            "It is done.",
            "Done",
            vec![example("done", "It is done", json!({}))],
        )
}

/// The schemas that are made by hand, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let nothing = request("Nothing.");
    let load = request("What loading is told.").optional(
        "parameters",
        nothing.into(),
        "None: a model is loaded from its folder alone, and settings are those of electra.toml there.",
    );
    let dependents = request("What unloading may be told.").present(
        "unload_dependents",
        json!({"type": "boolean"}),
        "Changes nothing, as no model depends on another.",
    );
    let unload = request("What unloading is told.").optional(
        "parameters",
        dependents.into(),
        "What Triton's clients send.",
    );
    vec![
        (
            "Index",
            with(
                list(reference("IndexEntry")),
                "description",
                "Each version of each model.",
            ),
        ),
        ("LoadRequest", load.into()),
        ("UnloadRequest", unload.into()),
    ]
}
