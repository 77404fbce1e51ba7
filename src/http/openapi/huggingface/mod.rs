//! Routes for Hugging Face's clients in the document.

mod requests;

use serde_json::{Value, json};

use super::operation::{Example, Operation, example};
use super::tags::HUGGING_FACE;
use crate::service::huggingface::{EndpointInfo, PipelineOutput};

/// POST /models/{name}, GET /models/{name}/health, /models/{name}/info.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/models/{name}", "runPipeline", HUGGING_FACE)
            .says(
                "Run a model's pipeline",
                "Takes the body that Hugging Face's inference clients send, and returns the output of transformers \
                 4.57's pipeline for the model's task: text-classification, token-classification or \
                 question-answering. The body must be that of the model's pipeline; a body of another pipeline is \
                 refused. Discriminators have no pipeline: use /discriminate. Defaults that a model's electra.toml \
                 sets for the native routes do not apply here.",
            )
            .parameters(&["PipelineName", "RequestTimeout", "RequestPriority"])
            .takes("PipelineRequest", requests())
            .answers("The pipeline's output, in the pipeline's format.", "PipelineResponse", answers())
            .answer_headers(&[("server-timing", "ServerTiming")])
            .fails_with(&[400, 404, 413, 415, 422, 429, 503, 504]),
        Operation::get("/models/{name}/health", "pipelineHealth", HUGGING_FACE)
            .says(
                "Check whether a model is ready",
                "Used by `InferenceClient.health_check`. If the model is not ready, the error gives the reason.",
            )
            .parameters(&["ModelName"])
            .answers("The model is ready.", "Health", vec![example("ready", "Ready", json!({"status": "ready"}))])
            .fails_with(&[404, 503]),
        Operation::get("/models/{name}/info", "pipelineInfo", HUGGING_FACE)
            .says(
                "Describe a model as an endpoint",
                "Used by `InferenceClient.get_endpoint_info`.",
            )
            .parameters(&["ModelName"])
            .answers("The model's metadata.", "EndpointInfo", vec![example("info", "A classifier", info())])
            .fails_with(&[404, 503]),
    ]
}

/// The model for each example request, by the example's name.
pub fn example_models() -> Value {
    let model = |summary: &str, name: &str| json!({"summary": summary, "value": name});
    let sentiment = model("A classification model", "electra-mini-sentiment");
    let chunker = model("A tagging model", "electra-mini-chunker");
    let qa = model("A question-answering model", "electra-mini-qa");
    json!({
        "labels": sentiment,
        "pair": sentiment,
        "tokens": chunker,
        "groups": chunker,
        "answer": qa,
        "answers": qa,
    })
}

fn question() -> Value {
    json!({
        "question": "When does the train leave?",
        "context": "The train to Geneva leaves from platform 4 at noon.",
    })
}

fn requests() -> Vec<Example> {
    vec![
        example(
            "labels",
            "text-classification of a text",
            json!({"inputs": "A wonderful, moving film."}),
        ),
        example(
            "pair",
            "text-classification of a pair, best label only",
            json!({
                "inputs": [{"text": "A wonderful film.", "text_pair": "I would see it again."}],
                "parameters": {"top_k": 1, "truncation": true},
            }),
        ),
        example(
            "tokens",
            "token-classification of a text",
            json!({"inputs": "She sings", "parameters": {}}),
        ),
        example(
            "groups",
            "token-classification of a list of texts, tokens grouped",
            json!({"inputs": ["She sings"], "parameters": {"aggregation_strategy": "simple"}}),
        ),
        example(
            "answer",
            "question-answering",
            json!({"inputs": question()}),
        ),
        example(
            "answers",
            "question-answering, the two best answers",
            json!({"inputs": question(), "parameters": {"top_k": 2, "handle_impossible_answer": true}}),
        ),
    ]
}

fn answers() -> Vec<Example> {
    let token = |label: &str, index: usize, word: &str, start: usize, end: usize| json!({"entity": label, "score": 0.998, "index": index, "word": word, "start": start, "end": end});
    let group = |label: &str, word: &str, start: usize, end: usize| json!({"entity_group": label, "score": 0.998, "word": word, "start": start, "end": end});
    let noon = json!({"score": 0.447, "start": 46, "end": 50, "answer": "noon"});
    let at_noon = json!({"score": 0.124, "start": 43, "end": 50, "answer": "at noon"});
    vec![
        example(
            "labels",
            "text-classification of a text",
            json!([[{"label": "positive", "score": 0.998}, {"label": "negative", "score": 0.002}]]),
        ),
        example(
            "pair",
            "text-classification of a pair, best label only",
            json!([[{"label": "positive", "score": 0.998}]]),
        ),
        example(
            "tokens",
            "token-classification of a text",
            json!([
                token("B-NP", 1, "she", 0, 3),
                token("B-VP", 2, "sings", 4, 9)
            ]),
        ),
        example(
            "groups",
            "token-classification of a list of texts, tokens grouped",
            json!([[group("NP", "she", 0, 3), group("VP", "sings", 4, 9)]]),
        ),
        example("answer", "question-answering", noon.clone()),
        example(
            "answers",
            "question-answering, the two best answers",
            json!([noon, at_noon]),
        ),
    ]
}

fn info() -> Value {
    json!({
        "model_id": "electra-mini-sentiment",
        "version": "1",
        "task": "text-classification",
        "precision": "int8",
        "device": "cpu",
        "max_tokens": 512,
        "labels": ["negative", "positive"],
    })
}

pub use requests::schemas;

/// Answer types with derived schemas.
pub type Answers = (PipelineOutput, EndpointInfo);
