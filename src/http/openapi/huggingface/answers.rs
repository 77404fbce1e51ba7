//! The schemas of what transformers' pipelines answer.

use serde_json::{Value, json};

use crate::http::openapi::models::PRECISIONS;
use crate::http::openapi::schema::{
    Object, answer, count, list, one_of_names, probability, reference, string,
};

/// The schemas of answers, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let shapes = [
        list(list(reference("LabelScore"))),
        list(reference("LabelScore")),
        reference("LabelScore"),
        list(reference("PipelineEntity")),
        list(list(reference("PipelineEntity"))),
        reference("PipelineAnswers"),
        list(reference("PipelineAnswers")),
    ];
    let response = json!({
        "description": "text-classification: for each input its labels, best first; a lone input too is in a list. With \
                        `return_all_scores: false` one label for each input, and for a lone pair nothing around it. \
                        token-classification: the entities of a text, or for each text of a list. question-answering: the \
                        answer to a question, or answers where there is not exactly one; of several questions a list of these.",
        "anyOf": shapes,
    });
    vec![
        ("PipelineResponse", response),
        ("PipelineEntity", entity()),
        ("PipelineAnswers", answers()),
        ("PipelineAnswer", pipeline_answer().into()),
        ("EndpointInfo", info().into()),
    ]
}

fn entity() -> Value {
    let placed = |object: Object| {
        object
            .required("score", probability(), "How sure the model is.")
            .required(
                "word",
                string(),
                "What the tokenizer makes of the text: the model's view of it, not the text.",
            )
            .required(
                "start",
                count(),
                "Where it starts in the text, in code points.",
            )
            .required("end", count(), "Where it ends.")
    };
    let token = placed(answer("A token, with the strategy none."))
        .required("entity", string(), "Its whole label: `B-NP`.")
        .required(
            "index",
            count(),
            "Its position in its sequence, where `[CLS]` is 0.",
        );
    let group = placed(answer("A group of tokens, with other strategies.")).required(
        "entity_group",
        string(),
        "Its label without prefix: `NP`.",
    );
    json!({
        "description": "A token or a group of tokens with a label.",
        "oneOf": [Value::from(token), Value::from(group)],
    })
}

fn answers() -> Value {
    json!({
        "description": "What one question is answered with: exactly one answer stands by itself, others in a list, best first.",
        "oneOf": [reference("PipelineAnswer"), list(reference("PipelineAnswer"))],
    })
}

fn pipeline_answer() -> Object {
    answer("One answer.")
        .required(
            "score",
            json!({"type": "number", "minimum": 0}),
            "The product of two probabilities; of an answer that several windows gave, the sum of these, which may exceed 1.",
        )
        .required("start", count(), "Where it starts in the context, in code points.")
        .required("end", count(), "Where it ends.")
        .required("answer", string(), "That stretch of the context; empty for no answer.")
}

fn info() -> Object {
    let tasks = [
        "text-classification",
        "token-classification",
        "question-answering",
        "replaced-token-detection",
    ];
    answer("What a model is, as an endpoint.")
        .required("model_id", string(), "The model's name.")
        .required("version", string(), "Which version of it.")
        .required(
            "task",
            one_of_names(&tasks),
            "Its task as the hub names it; replaced-token-detection has no pipeline.",
        )
        .required(
            "precision",
            one_of_names(PRECISIONS),
            "The numbers its graph is of.",
        )
        .required(
            "device",
            string(),
            "What computes it: `cpu`, `cuda:0`, `tensorrt:0`.",
        )
        .required(
            "max_tokens",
            count(),
            "The longest sequence in tokens, special ones included.",
        )
        .required(
            "labels",
            list(string()),
            "Its labels, in the order of its scores.",
        )
        .present(
            "source",
            string(),
            "The checkpoint that it was pulled from, if it was.",
        )
}
