//! The table: requests, the interfaces that support them, and the expected errors.

use electra_server::task::Task::{self, Classify, Discriminate, Qa, Tag};
use serde_json::{Value, json};

/// An interface of the server or the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A native route.
    Http,
    /// A line of standard input.
    CommandLine,
    /// A unary call of electra.v1.Electra.
    ElectraV1,
    /// The Open Inference Protocol over HTTP.
    InferenceHttp,
    /// The Open Inference Protocol over gRPC.
    InferenceGrpc,
}

const EVERY: &[Way] = &[
    Way::Http,
    Way::CommandLine,
    Way::ElectraV1,
    Way::InferenceHttp,
    Way::InferenceGrpc,
];
/// Interfaces with a call per task.
const BY_TASK: &[Way] = &[Way::Http, Way::CommandLine, Way::ElectraV1];
/// Interfaces whose options are untyped.
const UNTYPED: &[Way] = &[
    Way::Http,
    Way::CommandLine,
    Way::InferenceHttp,
    Way::InferenceGrpc,
];
/// Interfaces with JSON bodies, where nothing is typed.
const JSON: &[Way] = &[Way::Http, Way::CommandLine];

/// A request, as a body of the task's route.
#[derive(Debug)]
pub struct Case {
    pub task: Task,
    pub body: Value,
    /// The interfaces that can express it.
    pub ways: &'static [Way],
    /// The expected error code, if it must be refused.
    pub refused: Option<&'static str>,
}

const SENTENCE: &str = "The quick brown fox fake over the lazy dog";
const UNICODE: &str = "Zoë’s 🦊 jumped 👩‍👩‍👧 over Ünïcödé — 日本語 и русский.";
const QUESTION: &str = "Who wrote the letter?";
const CONTEXT: &str =
    "The letter 🖋 was written by María Lopez in 1912 and found a century later in an attic.";

pub fn cases() -> Vec<Case> {
    let answered = answered()
        .into_iter()
        .map(|(task, body)| (task, body, EVERY, None));
    let refused = refused()
        .into_iter()
        .map(|(task, body, code)| (task, body, EVERY, Some(code)));
    let by_task = refused_by_task()
        .into_iter()
        .map(|(task, body, code)| (task, body, BY_TASK, Some(code)));
    let options = refused_options()
        .into_iter()
        .map(|(task, body, code)| (task, body, UNTYPED, Some(code)));
    let bodies = refused_bodies()
        .into_iter()
        .map(|(task, body, code)| (task, body, JSON, Some(code)));
    (answered.chain(refused).chain(by_task))
        .chain(options)
        .chain(bodies)
        .map(|(task, body, ways, refused)| Case {
            task,
            body,
            ways,
            refused,
        })
        .collect()
}

fn answered() -> Vec<(Task, Value)> {
    let long = "The old man bought a new car in London. ".repeat(80);
    let item = |question: &str, context: &str| json!({"question": question, "context": context});
    vec![
        (Discriminate, json!({"text": SENTENCE})),
        (
            Discriminate,
            json!({"text": [SENTENCE, "", UNICODE, " \t", "a"]}),
        ),
        (Discriminate, json!({"text": UNICODE, "offsets": "utf8"})),
        (
            Discriminate,
            json!({"text": UNICODE, "offsets": "utf16", "level": "word"}),
        ),
        (
            Discriminate,
            json!({"text": SENTENCE, "level": "word", "threshold": 0.125}),
        ),
        (
            Discriminate,
            json!({"text": SENTENCE, "threshold": 1, "level": "token"}),
        ),
        (Discriminate, json!({"text": [long, SENTENCE]})),
        (
            Discriminate,
            json!({"text": "a", "model": "electra-mini-discriminator"}),
        ),
        (
            Discriminate,
            json!({"text": "a", "model": "electra-mini-discriminator@1"}),
        ),
        (Classify, json!({"text": "A warm, funny film."})),
        (
            Classify,
            json!({"text": ["A warm, funny film.", "Dull.", UNICODE]}),
        ),
        (
            Classify,
            json!({"text": [["A warm film.", "It is funny."], ["Dull.", UNICODE]]}),
        ),
        (Classify, json!({"text": "Dull.", "top_k": 1})),
        (
            Classify,
            json!({"text": "Dull.", "top_k": 1000, "function": "sigmoid"}),
        ),
        (Classify, json!({"text": "Dull.", "function": "none"})),
        (Classify, json!({"text": "Dull.", "function": "softmax"})),
        (Classify, json!({"text": ["Dull.", long], "truncate": true})),
        (
            Tag,
            json!({"text": "The old man bought a new car in London."}),
        ),
        (
            Tag,
            json!({"text": ["The old man", "", UNICODE, "\n"], "offsets": "utf16"}),
        ),
        (
            Tag,
            json!({"text": UNICODE, "aggregation": "none", "offsets": "utf8"}),
        ),
        (Tag, json!({"text": UNICODE, "aggregation": "simple"})),
        (Tag, json!({"text": UNICODE, "aggregation": "first"})),
        (Tag, json!({"text": UNICODE, "aggregation": "average"})),
        (Tag, json!({"text": UNICODE, "aggregation": "max"})),
        (Tag, json!({"text": long})),
        (Qa, json!({"question": QUESTION, "context": CONTEXT})),
        (
            Qa,
            json!({"items": [item(QUESTION, CONTEXT), item("When?", CONTEXT)], "top_k": 3}),
        ),
        (
            Qa,
            json!({"question": QUESTION, "context": CONTEXT, "offsets": "utf8"}),
        ),
        (
            Qa,
            json!({"question": QUESTION, "context": CONTEXT, "offsets": "utf16", "top_k": 100}),
        ),
        (
            Qa,
            json!({"question": "How deep is the lake?", "context": CONTEXT, "no_answer": true}),
        ),
        (
            Qa,
            json!({"items": [item(QUESTION, &long)], "max_answer_tokens": 3, "stride": 16, "no_answer": false}),
        ),
    ]
}

fn refused() -> Vec<(Task, Value, &'static str)> {
    let many = vec!["a"; 257];
    let huge = "a".repeat(131_073);
    let words = "word ".repeat(600);
    let asked = |field: &str, value: Value| {
        let mut body = json!({"question": QUESTION, "context": CONTEXT});
        body[field] = value;
        body
    };
    vec![
        (Discriminate, json!({"text": []}), "empty_input"),
        (Discriminate, json!({"text": many}), "too_many_inputs"),
        (Discriminate, json!({"text": ["a", huge]}), "text_too_long"),
        (
            Discriminate,
            json!({"text": "a", "threshold": -0.5}),
            "invalid_value",
        ),
        (
            Discriminate,
            json!({"text": "a", "threshold": 1.5}),
            "invalid_value",
        ),
        (
            Discriminate,
            json!({"text": "a", "level": "letter"}),
            "invalid_value",
        ),
        (
            Discriminate,
            json!({"text": "a", "offsets": "bytes"}),
            "invalid_value",
        ),
        (
            Discriminate,
            json!({"text": "a", "model": "nobody"}),
            "model_not_found",
        ),
        (
            Discriminate,
            json!({"text": "a", "model": "electra-mini-discriminator@7"}),
            "model_not_found",
        ),
        (Classify, json!({"text": ["good", " \t\n"]}), "empty_text"),
        (Classify, json!({"text": words}), "too_many_tokens"),
        (Classify, json!({"text": "a", "top_k": 0}), "invalid_value"),
        (
            Classify,
            json!({"text": "a", "function": "tanh"}),
            "invalid_value",
        ),
        (
            Tag,
            json!({"text": "a", "aggregation": "mean"}),
            "invalid_value",
        ),
        (Qa, json!({"question": QUESTION}), "missing_field"),
        (Qa, asked("question", json!("")), "empty_text"),
        (Qa, asked("context", json!(" \n")), "empty_text"),
        (
            Qa,
            asked("question", json!("why ".repeat(500))),
            "question_too_long",
        ),
        (Qa, asked("top_k", json!(101)), "invalid_value"),
        (Qa, asked("max_answer_tokens", json!(0)), "invalid_value"),
        (Qa, asked("stride", json!(5000)), "invalid_value"),
    ]
}

/// Requests that name no model, or one of another task.
fn refused_by_task() -> Vec<(Task, Value, &'static str)> {
    vec![
        (
            Discriminate,
            json!({"text": "a", "model": "electra-mini-qa"}),
            "wrong_task",
        ),
        (Tag, json!({"text": "a", "model": ""}), "model_not_found"),
        (
            Tag,
            json!({"text": "a", "model": "electra-mini-sentiment"}),
            "wrong_task",
        ),
    ]
}

/// Options that messages have no field for.
fn refused_options() -> Vec<(Task, Value, &'static str)> {
    vec![
        (
            Discriminate,
            json!({"text": "a", "treshold": 0.5}),
            "unknown_field",
        ),
        (
            Classify,
            json!({"text": "a", "top_k": "three"}),
            "invalid_type",
        ),
        (Classify, json!({"text": "a", "top_k": -1}), "invalid_value"),
        (
            Tag,
            json!({"text": "a", "aggregation": true}),
            "invalid_type",
        ),
    ]
}

/// Inputs that only a JSON body can express.
fn refused_bodies() -> Vec<(Task, Value, &'static str)> {
    vec![
        (Discriminate, json!({}), "missing_field"),
        (Discriminate, json!({"text": 5}), "invalid_type"),
        (Discriminate, json!({"text": ["a", null]}), "invalid_type"),
        (Classify, json!({"text": [["a", "b", "c"]]}), "invalid_type"),
        (Tag, json!({"text": {"text": "a"}}), "invalid_type"),
        (Qa, json!({"items": []}), "empty_input"),
        (
            Qa,
            json!({"question": {}, "context": CONTEXT}),
            "invalid_type",
        ),
    ]
}
