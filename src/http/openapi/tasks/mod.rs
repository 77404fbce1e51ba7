//! The native routes of the four tasks in the document.

mod answers;
mod requests;

use serde_json::{Value, json};

use super::operation::{Example, Operation, example};
use super::tags::TASKS;
use crate::limits::Limits;

/// Statuses of the errors of all four operations.
const STATUSES: &[u16] = &[400, 404, 413, 415, 422, 429, 503, 504];

/// POST /discriminate, /classify, /tag, /qa.
pub fn operations() -> Vec<Operation> {
    vec![discriminate(), classify(), tag(), qa()]
}

fn operation(
    path: &'static str,
    id: &'static str,
    summary: &str,
    description: &str,
    schemas: [&str; 2],
    examples: [Vec<Example>; 2],
) -> Operation {
    let [request, answer] = schemas;
    let [requests, answers] = examples;
    Operation::post(path, id, TASKS)
        .says(summary, description)
        .parameters(&["RequestTimeout", "RequestPriority"])
        .takes(request, requests)
        .answers("One result per input, in order.", answer, answers)
        .answer_headers(&[("server-timing", "ServerTiming")])
        .fails_with(STATUSES)
}

fn discriminate() -> Operation {
    let asked = vec![
        example(
            "words",
            "Replaced words in a text",
            json!({"text": "The quick brown fox fake over the lazy dog", "level": "word"}),
        ),
        example(
            "tokens",
            "Tokens of two texts, with a custom threshold",
            json!({"text": ["She sings", "東京"], "threshold": 0.9, "offsets": "utf16"}),
        ),
    ];
    let word = |word: &str, start: usize, score: f64, fake: bool| json!({"word": word, "start": start, "end": start + word.len(), "score": score, "fake": fake});
    let answered = vec![example(
        "words",
        "Replaced words in a text",
        json!({"model": "electra-mini-discriminator", "results": [{"words": [
            word("The", 0, 0.153, false), word("quick", 4, 0.257, false), word("brown", 10, 0.109, false),
            word("fox", 16, 0.125, false), word("fake", 20, 0.609, true), word("over", 25, 0.346, false),
            word("the", 30, 0.122, false), word("lazy", 34, 0.423, false), word("dog", 39, 0.175, false),
        ]}]}),
    )];
    operation(
        "/discriminate",
        "discriminate",
        "Find replaced tokens or words",
        "Scores each token of a text with the probability that it replaced another one. If a text is longer than the \
         model's limit, it is split into overlapping windows, and each token is scored in the window that shows most \
         of its context. Special tokens are omitted. A text of white space has no tokens.",
        ["DiscriminateRequest", "DiscriminateResponse"],
        [asked, answered],
    )
}

fn classify() -> Operation {
    let asked = vec![
        example(
            "text",
            "Labels of one text",
            json!({"text": "A wonderful, moving film."}),
        ),
        example(
            "texts",
            "Best label of each of several texts",
            json!({"text": ["A wonderful, moving film.", "Dull, clumsy and far too long."], "top_k": 1}),
        ),
        example(
            "pair",
            "A pair of texts, truncated if it is too long",
            json!({"text": [["A wonderful film.", "I would see it again."]], "truncate": true}),
        ),
    ];
    let answered = vec![
        example(
            "text",
            "Labels of one text",
            json!({"model": "electra-mini-sentiment", "results": [
                {"labels": [{"label": "positive", "score": 0.998}, {"label": "negative", "score": 0.002}]},
            ]}),
        ),
        example(
            "texts",
            "Best label of each of several texts",
            json!({"model": "electra-mini-sentiment", "results": [
                {"labels": [{"label": "positive", "score": 0.998}]},
                {"labels": [{"label": "negative", "score": 0.992}]},
            ]}),
        ),
    ];
    operation(
        "/classify",
        "classify",
        "Classify texts or pairs of texts",
        "Scores a text or a pair of texts for each label of the model, best first. If an input is longer than the \
         model's limit, it is refused with its length and the limit, unless `truncate` is true. Of a pair, the longer \
         text is truncated first.",
        ["ClassifyRequest", "ClassifyResponse"],
        [asked, answered],
    )
}

fn tag() -> Operation {
    let asked = vec![
        example(
            "phrases",
            "Phrases of a text",
            json!({"text": "The old man bought a new car in London."}),
        ),
        example(
            "tokens",
            "Each token with its full label",
            json!({"text": ["She sings"], "aggregation": "none"}),
        ),
    ];
    let entity = |label: &str, text: &str, start: usize| json!({"label": label, "score": 0.999, "start": start, "end": start + text.len(), "text": text});
    let answered = vec![
        example(
            "phrases",
            "Phrases of a text",
            json!({"model": "electra-mini-chunker", "results": [{"entities": [
                entity("NP", "The old man", 0), entity("VP", "bought", 12), entity("NP", "a new car", 19),
                entity("PP", "in", 29), entity("NP", "London", 32),
            ]}]}),
        ),
        example(
            "tokens",
            "Each token with its full label",
            json!({"model": "electra-mini-chunker", "results": [{"entities": [
                entity("B-NP", "She", 0), entity("B-VP", "sings", 4),
            ]}]}),
        ),
    ];
    operation(
        "/tag",
        "tag",
        "Find entities in texts",
        "Labels the tokens of a text and joins them into entities. If a text is longer than the model's limit, it is \
         split into overlapping windows. Tokens labelled `O` are omitted.",
        ["TagRequest", "TagResponse"],
        [asked, answered],
    )
}

fn qa() -> Operation {
    let train = "The train to Geneva leaves from platform 4 at noon.";
    let noon = json!({"text": "noon", "score": 0.508, "start": 46, "end": 50});
    let asked = vec![
        example(
            "question",
            "One question",
            json!({"question": "When does the train leave?", "context": train}),
        ),
        example(
            "items",
            "Several questions, one without an answer in its context",
            json!({"items": [
                {"question": "When does the train leave?", "context": train},
                {"question": "Who painted the Mona Lisa?", "context": "Bread is made of flour, water and salt."},
            ], "no_answer": true}),
        ),
    ];
    let answered = vec![
        example(
            "question",
            "One question",
            json!({"model": "electra-mini-qa", "results": [{"answers": [noon], "no_answer_score": 0.0}]}),
        ),
        example(
            "items",
            "Several questions, one without an answer in its context",
            json!({"model": "electra-mini-qa", "results": [
                {"answers": [noon], "no_answer_score": 0.0},
                {"answers": [], "no_answer_score": 1.0},
            ]}),
        ),
    ];
    operation(
        "/qa",
        "answer",
        "Answer questions from contexts",
        "Finds the spans of a context that answer a question. If a context is too long for one window, it is split \
         into overlapping windows. `score` is the probability of a span under one softmax over all admissible spans \
         of all windows and the case of no answer, which together sum to 1. No answer wins if `no_answer_score` is \
         higher than the best span's score; with `no_answer`, `answers` is then empty.",
        ["QaRequest", "QaResponse"],
        [asked, answered],
    )
}

pub use answers::Answers;
pub use requests::Requests;

/// Handwritten schemas, by name.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    let mut schemas = requests::schemas(limits);
    schemas.extend(answers::schemas());
    schemas
}
