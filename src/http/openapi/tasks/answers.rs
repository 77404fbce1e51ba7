//! The schemas of the four tasks' answers.

use serde_json::Value;

use crate::http::openapi::schema::{answer, list, reference, string, with};
use crate::service::{Classification, Discrimination, QaAnswers, Tagging};

/// What is derived.
pub type Answers = (Discrimination, Classification, Tagging, QaAnswers);

/// The schemas of answers, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("DiscriminateResponse", response("Discrimination")),
        ("ClassifyResponse", response("Classification")),
        ("TagResponse", response("Tagging")),
        ("QaResponse", response("QaAnswers")),
    ]
}

fn response(result: &str) -> Value {
    answer("The model that answered, and one result for each input.")
        .required("model", string(), "The model's name.")
        .required(
            "results",
            with(list(reference(result)), "minItems", 1),
            "One for each input, in order.",
        )
        .into()
}
