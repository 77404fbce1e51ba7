//! Schemas of the four tasks' answers.

use serde_json::Value;

use crate::http::openapi::schema::{answer, list, reference, string, with};
use crate::service::{Classification, Discrimination, QaAnswers, Tagging};

/// Answer types with derived schemas.
pub type Answers = (Discrimination, Classification, Tagging, QaAnswers);

/// Schemas of answers, by name.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("DiscriminateResponse", response("Discrimination")),
        ("ClassifyResponse", response("Classification")),
        ("TagResponse", response("Tagging")),
        ("QaResponse", response("QaAnswers")),
    ]
}

fn response(result: &str) -> Value {
    answer("The model that answered, and one result per input.")
        .required("model", string(), "The name of the model that answered.")
        .required(
            "results",
            with(list(reference(result)), "minItems", 1),
            "One result per input, in order.",
        )
        .into()
}
