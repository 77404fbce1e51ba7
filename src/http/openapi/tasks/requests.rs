//! The schemas of the four tasks' requests.

use serde_json::{Value, json};

use crate::heads::qa_bounds::{DEFAULT_ANSWER_TOKENS, DEFAULT_STRIDE, MAX_TOP_K, WINDOW_TOKENS};
use crate::http::openapi::schema::{
    Object, one_of_names, probability, reference, request, several, string, text, whole_number,
    with,
};
use crate::limits::Limits;

const MODEL: &str = "The name or an alias of a model of this task, or either with `@` and a version. Where it is absent, the task's default.";
const OFFSETS: &str = "The unit of `start` and `end`: code points, as Python counts; bytes of UTF-8; or UTF-16 code units, as \
                       JavaScript, Java and C# count.";

fn offsets() -> Value {
    with(
        one_of_names(&["codepoint", "utf8", "utf16"]),
        "default",
        "codepoint",
    )
}

/// The schemas of requests, by their names.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    vec![
        ("DiscriminateRequest", discriminate_request(limits).into()),
        ("ClassifyRequest", classify_request(limits).into()),
        ("TagRequest", tag_request(limits).into()),
        ("QaRequest", qa_request()),
        ("QaQuestion", qa_question(limits).into()),
        ("QaItems", qa_items(limits).into()),
        (
            "QaItem",
            question_and_context(
                request("A question and the text that holds its answer."),
                limits,
            )
            .into(),
        ),
    ]
}

fn discriminate_request(limits: &Limits) -> Object {
    request("What to look at, and how.")
        .required("text", one_or_more_texts(limits), "A text, or a list of texts.")
        .optional("model", string(), MODEL)
        .optional("threshold", with(probability(), "default", 0.5), "A score above it is called fake.")
        .optional(
            "level",
            with(one_of_names(&["token", "word"]), "default", "token"),
            "Tokens of the model's vocabulary, or words as its tokenizer splits them; a word has the highest score of its tokens.",
        )
        .optional("offsets", offsets(), OFFSETS)
}

fn classify_request(limits: &Limits) -> Object {
    let visible = visible_text(limits);
    let pair = json!({
        "type": "array",
        "description": "A pair of texts, such as premise and hypothesis.",
        "prefixItems": [visible.clone(), visible.clone()],
        "items": false,
        "minItems": 2,
    });
    let input = json!({"oneOf": [visible.clone(), pair]});
    let text = json!({"oneOf": [visible, several(&input, limits)]});
    request("What to label, and how.")
        .required("text", text, "A text, or a list of texts and of pairs of texts.")
        .optional("model", string(), MODEL)
        .optional("top_k", whole_number(1), "How many labels, best first; all where it is absent.")
        .optional(
            "function",
            one_of_names(&["softmax", "sigmoid", "none"]),
            "How logits become scores. Where it is absent, the model decides: none for regression, sigmoid for several labels at \
             once or for one label, else softmax.",
        )
        .optional(
            "truncate",
            json!({"type": "boolean", "default": false}),
            "Whether a text that is longer than the model reads is cut, and not refused.",
        )
}

fn tag_request(limits: &Limits) -> Object {
    request("What to tag, and how.")
        .required("text", one_or_more_texts(limits), "A text, or a list of texts.")
        .optional("model", string(), MODEL)
        .optional(
            "aggregation",
            with(one_of_names(&["none", "simple", "first", "average", "max"]), "default", "simple"),
            "How tokens become entities, as transformers' aggregation strategy of the same name does it; with `none`, an entity is a \
             token and its label the whole tag.",
        )
        .optional("offsets", offsets(), OFFSETS)
}

fn qa_request() -> Value {
    json!({
        "description": "One question with its context, or a list of them, and how to answer.",
        "oneOf": [reference("QaQuestion"), reference("QaItems")],
    })
}

fn qa_question(limits: &Limits) -> Object {
    qa_options(question_and_context(
        request("One question, and how to answer it."),
        limits,
    ))
}

fn qa_items(limits: &Limits) -> Object {
    qa_options(
        request("Several questions, and how to answer them.").required(
            "items",
            several(&reference("QaItem"), limits),
            "Questions with their contexts.",
        ),
    )
}

fn question_and_context(object: Object, limits: &Limits) -> Object {
    object
        .required("question", visible_text(limits), "The question.")
        .required(
            "context",
            visible_text(limits),
            "The text that holds the answer.",
        )
}

fn qa_options(object: Object) -> Object {
    let top_k = json!({"type": "integer", "minimum": 1, "maximum": MAX_TOP_K, "default": 1});
    let stride = json!({"type": "integer", "minimum": 0, "maximum": WINDOW_TOKENS / 2, "default": DEFAULT_STRIDE});
    object
        .optional("model", string(), MODEL)
        .optional("top_k", top_k, "How many answers, best first.")
        .optional(
            "no_answer",
            json!({"type": "boolean", "default": false}),
            "Whether no answer may win; then `answers` is empty.",
        )
        .optional(
            "max_answer_tokens",
            with(whole_number(1), "default", DEFAULT_ANSWER_TOKENS),
            "The longest answer, in tokens.",
        )
        .optional(
            "stride",
            stride,
            "Tokens of a long context that neighbouring windows share: at most half a window, which is shorter where the model \
             reads less.",
        )
        .optional("offsets", offsets(), OFFSETS)
}

/// Tokenizers drop white space and control characters: a text of these alone has no token. They drop more, such as what is
/// for private use, that no pattern can tell in the regular expressions of every language.
fn visible_text(limits: &Limits) -> Value {
    with(
        text(limits),
        "pattern",
        r"[^\s\u0000-\u001f\u007f-\u009f\u00ad]",
    )
}

fn one_or_more_texts(limits: &Limits) -> Value {
    json!({"oneOf": [text(limits), several(&text(limits), limits)]})
}
