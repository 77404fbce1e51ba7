//! The schemas of the four tasks' answers.

use serde_json::{Value, json};

use crate::http::openapi::schema::{
    Object, answer, count, list, probability, reference, string, with,
};

/// The schemas of answers, by their names.
pub fn schemas() -> Vec<(&'static str, Value)> {
    [discriminations(), classifications(), taggings(), answers()].concat()
}

fn discriminations() -> Vec<(&'static str, Value)> {
    let tokens = answer("At level token.").required(
        "tokens",
        list(reference("ScoredToken")),
        "Every token.",
    );
    let words =
        answer("At level word.").required("words", list(reference("ScoredWord")), "Every word.");
    let either = json!({
        "description": "What was found in one text, in its order.",
        "oneOf": [Value::from(tokens), Value::from(words)],
    });
    let scored = |object: Object, words: &str| {
        placed(object)
            .required("score", probability(), words)
            .required(
                "fake",
                json!({"type": "boolean"}),
                "Whether the score is above the threshold.",
            )
    };
    let token = answer("One token and its score.").required(
        "token",
        string(),
        "As the vocabulary spells it: `##ing`.",
    );
    let word =
        answer("One word and its score.").required("word", string(), "Its stretch of the text.");
    vec![
        ("DiscriminateResponse", response("Discrimination")),
        ("Discrimination", either),
        (
            "ScoredToken",
            scored(token, "The probability that it replaced another one.").into(),
        ),
        (
            "ScoredWord",
            scored(word, "The highest score of its tokens.").into(),
        ),
    ]
}

fn classifications() -> Vec<(&'static str, Value)> {
    let labels = answer("The labels of one input.")
        .required("labels", list(reference("LabelScore")), "Best first.")
        .present(
            "truncated",
            json!({"const": true}),
            "There where the input was cut.",
        );
    let score = answer("One label and its score.")
        .required("label", string(), "Its name.")
        .required(
            "score",
            json!({"type": "number"}),
            "0 to 1, or any number for regression and the function none.",
        );
    vec![
        ("ClassifyResponse", response("Classification")),
        ("Classification", labels.into()),
        ("LabelScore", score.into()),
    ]
}

fn taggings() -> Vec<(&'static str, Value)> {
    let entities = answer("The entities of one text.").required(
        "entities",
        list(reference("TaggedEntity")),
        "In the order of the text.",
    );
    let entity = placed(answer("One entity."))
        .required("label", string(), "What it is.")
        .required("score", probability(), "How sure the model is.")
        .required(
            "text",
            string(),
            "That stretch of the text, as it was sent.",
        );
    vec![
        ("TagResponse", response("Tagging")),
        ("Tagging", entities.into()),
        ("TaggedEntity", entity.into()),
    ]
}

fn answers() -> Vec<(&'static str, Value)> {
    let answers = answer("The answers to one question.")
        .required(
            "answers",
            list(reference("AnswerSpan")),
            "Best first; none where no answer wins.",
        )
        .required(
            "no_answer_score",
            probability(),
            "The probability that the context does not answer the question.",
        );
    let span = placed(answer("One answer."))
        .required("text", string(), "The span of the context, whole words.")
        .required(
            "score",
            probability(),
            "Its probability among all spans of the context and no answer at all.",
        );
    vec![
        ("QaResponse", response("QaAnswers")),
        ("QaAnswers", answers.into()),
        ("AnswerSpan", span.into()),
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

fn placed(object: Object) -> Object {
    object
        .required(
            "start",
            count(),
            "Where it starts in the text as it was sent.",
        )
        .required(
            "end",
            count(),
            "Where it ends: the place after its last character.",
        )
}
