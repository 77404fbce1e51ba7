//! Schemas of requests from Hugging Face's clients.

use serde_json::{Value, json};

use crate::http::openapi::derived::part;
use crate::http::openapi::schema::{Object, reference, request, several, string, text, with};
use crate::limits::Limits;
use crate::service::huggingface::{
    QuestionAnsweringParameters, TextClassificationParameters, TokenClassificationParameters,
};

/// Schemas of requests, by name.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    let bodies = [
        "TextClassification",
        "TokenClassification",
        "QuestionAnswering",
    ];
    let any = json!({
        "description": "The request body of the pipeline for the model's task.",
        "anyOf": bodies.map(|body| reference(&format!("{body}Request"))),
    });
    vec![
        ("PipelineRequest", any),
        (
            "TextClassificationRequest",
            text_classification(limits).into(),
        ),
        (
            "TokenClassificationRequest",
            token_classification(limits).into(),
        ),
        (
            "QuestionAnsweringRequest",
            question_answering(limits).into(),
        ),
    ]
}

fn body(description: &'static str, inputs: Value, words: &str, parameters: Value) -> Object {
    request(description)
        .required("inputs", inputs, words)
        .optional(
            "parameters",
            parameters,
            "The pipeline's parameters. A parameter that is null counts as absent.",
        )
        .optional(
            "options",
            reference("PipelineOptions"),
            "Options of Hugging Face's own servers, which older clients send. No effect here.",
        )
}

fn text_classification(limits: &Limits) -> Object {
    let pair = request("A text and a second text.")
        .required("text", text(limits), "The first text.")
        .optional(
            "text_pair",
            text(limits),
            "The second text. If it is empty, it counts as absent.",
        );
    let older_pair = json!({
        "description": "A pair in the older form, from before the pipeline had `text_pair`.",
        "type": "array",
        "items": {"type": "array", "items": text(limits), "minItems": 2, "maxItems": 2},
        "minItems": 1,
        "maxItems": 1,
    });
    let input = json!({"oneOf": [text(limits), Value::from(pair), older_pair]});
    let single = json!({"oneOf": [input["oneOf"][0], input["oneOf"][1]]});
    let inputs = json!({"anyOf": [single, several(&input, limits)]});
    body(
        "The request body of text-classification.",
        inputs,
        "A text, a text with a second text, or a list of these.",
        part::<TextClassificationParameters>(limits),
    )
}

fn token_classification(limits: &Limits) -> Object {
    let words = json!({"type": "array", "items": string()});
    let inputs = json!({"anyOf": [text(limits), several(&text(limits), limits), with(words.clone(), "minItems", 1), several(&words, limits)]});
    body(
        "The request body of token-classification.",
        inputs,
        "A text or a list of texts. With `is_split_into_words`, a list of words or a list of such lists.",
        part::<TokenClassificationParameters>(limits),
    )
}

fn question_answering(limits: &Limits) -> Object {
    let item = request("A question and the context that contains its answer.")
        .required(
            "question",
            with(text(limits), "minLength", 1),
            "The question.",
        )
        .required(
            "context",
            with(text(limits), "minLength", 1),
            "The text that contains the answer.",
        );
    let item = Value::from(item);
    let texts = several(&with(text(limits), "minLength", 1), limits);
    let one_or_more = json!({"anyOf": [with(text(limits), "minLength", 1), texts]});
    let lists = request("Questions that share a context or have one each.")
        .required("question", texts.clone(), "The questions.")
        .required(
            "context",
            one_or_more,
            "The text that contains the answers, or one text per question.",
        );
    let inputs = json!({"anyOf": [item, several(&item, limits), Value::from(lists)]});
    body(
        "The request body of question-answering.",
        inputs,
        "A question with its context, a list of these, or one object with a list of questions and their contexts.",
        part::<QuestionAnsweringParameters>(limits),
    )
}
