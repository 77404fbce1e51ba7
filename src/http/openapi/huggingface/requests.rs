//! The schemas of what Hugging Face's clients send.

use serde_json::{Value, json};

use crate::http::openapi::derived::part;
use crate::http::openapi::schema::{Object, reference, request, several, string, text, with};
use crate::limits::Limits;
use crate::service::huggingface::{
    QuestionAnsweringParameters, TextClassificationParameters, TokenClassificationParameters,
};

/// The schemas of requests, by their names.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    let bodies = [
        "TextClassification",
        "TokenClassification",
        "QuestionAnswering",
    ];
    let any = json!({
        "description": "The body of the pipeline that the model's task has.",
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
            "The pipeline's parameters; a null one is as if it were absent.",
        )
        .optional(
            "options",
            reference("PipelineOptions"),
            "What older clients ask of Hugging Face's own servers: of no effect here.",
        )
}

fn text_classification(limits: &Limits) -> Object {
    let pair = request("A text, and a second one.")
        .required("text", text(limits), "The text.")
        .optional(
            "text_pair",
            text(limits),
            "The second one; none where it is empty.",
        );
    let older_pair = json!({
        "description": "A pair as the pipeline took it before it knew `text_pair`.",
        "type": "array",
        "items": {"type": "array", "items": text(limits), "minItems": 2, "maxItems": 2},
        "minItems": 1,
        "maxItems": 1,
    });
    let input = json!({"oneOf": [text(limits), Value::from(pair), older_pair]});
    let single = json!({"oneOf": [input["oneOf"][0], input["oneOf"][1]]});
    let inputs = json!({"anyOf": [single, several(&input, limits)]});
    body(
        "The body of text-classification.",
        inputs,
        "A text, a text with a second one, or a list of these.",
        part::<TextClassificationParameters>(limits),
    )
}

fn token_classification(limits: &Limits) -> Object {
    let words = json!({"type": "array", "items": string()});
    let inputs = json!({"anyOf": [text(limits), several(&text(limits), limits), with(words.clone(), "minItems", 1), several(&words, limits)]});
    body(
        "The body of token-classification.",
        inputs,
        "A text, or a list of texts; with `is_split_into_words` a list of words, or several.",
        part::<TokenClassificationParameters>(limits),
    )
}

fn question_answering(limits: &Limits) -> Object {
    let item = request("A question and the text that holds its answer.")
        .required(
            "question",
            with(text(limits), "minLength", 1),
            "The question.",
        )
        .required(
            "context",
            with(text(limits), "minLength", 1),
            "The text that holds the answer.",
        );
    let item = Value::from(item);
    let texts = several(&with(text(limits), "minLength", 1), limits);
    let one_or_more = json!({"anyOf": [with(text(limits), "minLength", 1), texts]});
    let lists = request("Questions that share a context, or have one each.")
        .required("question", texts.clone(), "The questions.")
        .required(
            "context",
            one_or_more,
            "The text that holds their answers, or one for each.",
        );
    let inputs = json!({"anyOf": [item, several(&item, limits), Value::from(lists)]});
    body(
        "The body of question-answering.",
        inputs,
        "A question with its context, a list of these, or lists of both as one object.",
        part::<QuestionAnsweringParameters>(limits),
    )
}
