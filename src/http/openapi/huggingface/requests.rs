//! The schemas of what Hugging Face's clients send.

use serde_json::{Value, json};

use crate::heads::qa_bounds::{DEFAULT_STRIDE, MAX_TOP_K, WINDOW_TOKENS};
use crate::http::openapi::schema::{
    Object, list, reference, request, several, string, text, whole_number, with,
};
use crate::limits::Limits;

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
        ("PipelineOptions", options().into()),
    ]
}

fn body(description: &'static str, inputs: Value, words: &str, parameters: Object) -> Object {
    request(description)
        .required("inputs", inputs, words)
        .optional(
            "parameters",
            parameters.into(),
            "The pipeline's parameters; a null one is as if it were absent.",
        )
        .optional(
            "options",
            reference("PipelineOptions"),
            "What older clients ask of Hugging Face's own servers: of no effect here.",
        )
}

fn options() -> Object {
    request("Of no effect: nothing is cached, and a model that is loading answers with the time to try again.")
        .optional("use_cache", flag(), "Whether an answer may be one that was given before.")
        .optional("wait_for_model", flag(), "Whether to wait for a model that is loading.")
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
    let parameters = request("Parameters of text-classification.")
        .optional("top_k", whole_number(1), "How many labels, best first; all where it is absent.")
        .optional(
            "function_to_apply",
            any_case(&["softmax", "sigmoid", "none"]),
            "How logits become scores, in any case of letters; where it is absent, the model decides.",
        )
        .optional(
            "return_all_scores",
            flag(),
            "What `top_k` was before it, and counts where that is absent: all labels in the order of the model's outputs, or the \
             best one. The answer then has the shape that transformers gives it.",
        )
        .optional(
            "truncation",
            switch(&["longest_first", "only_first", "only_second", "do_not_truncate"]),
            "Whether an input that is longer than the limit is cut, and not refused, and which of its texts.",
        )
        .optional(
            "max_length",
            whole_number(3),
            "The limit in tokens, special ones included, where it is lower than the model's. Inputs are then cut, unless \
             `truncation` or `padding` says otherwise.",
        )
        .optional("padding", switch(PADDINGS), NO_PADDING)
        .optional("pad_to_multiple_of", whole_number(1), NO_PADDING)
        .optional("verbose", flag(), "Of no effect.");
    let parameters = scheduling(parameters);
    body(
        "The body of text-classification.",
        inputs,
        "A text, a text with a second one, or a list of these.",
        parameters,
    )
}

fn token_classification(limits: &Limits) -> Object {
    let words = json!({"type": "array", "items": string()});
    let inputs = json!({"anyOf": [text(limits), several(&text(limits), limits), with(words.clone(), "minItems", 1), several(&words, limits)]});
    let parameters = request("Parameters of token-classification.")
        .optional(
            "aggregation_strategy",
            with(any_case(&["none", "simple", "first", "average", "max"]), "default", "none"),
            "How tokens become groups, in any case of letters.",
        )
        .optional(
            "ignore_labels",
            with(list(string()), "default", json!(["O"])),
            "Labels to leave out.",
        )
        .optional(
            "stride",
            whole_number(0),
            "Tokens that the windows of a long text share, fewer than a window has; each window is then tagged by itself. Not \
             beside the strategy `none`.",
        )
        .optional(
            "grouped_entities",
            flag(),
            "What `aggregation_strategy` was before it, and goes before it: `simple` where it is true, else `none`.",
        )
        .optional(
            "ignore_subwords",
            flag(),
            "With `grouped_entities` the strategy `first`; without it `none`.",
        )
        .optional(
            "is_split_into_words",
            with(flag(), "default", false),
            "Whether texts come as lists of words. A lone list too is then answered by a list of one.",
        )
        .optional(
            "delimiter",
            with(string(), "default", " "),
            "What stands between such words in the text that offsets are of.",
        );
    let parameters = scheduling(parameters);
    body(
        "The body of token-classification.",
        inputs,
        "A text, or a list of texts; with `is_split_into_words` a list of words, or several.",
        parameters,
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
    let top_k = json!({"type": "integer", "minimum": 1, "maximum": MAX_TOP_K});
    let flag = |default: bool| with(flag(), "default", default);
    let parameters = request("Parameters of question-answering.")
        .optional("top_k", with(top_k.clone(), "default", 1), "How many answers, best first.")
        .optional("topk", top_k, "The older name of `top_k`, which goes before it.")
        .optional(
            "doc_stride",
            with(whole_number(0), "default", DEFAULT_STRIDE),
            "Tokens of a long context that neighbouring windows share, fewer than the question leaves of a window.",
        )
        .optional("max_answer_len", with(whole_number(1), "default", 15), "The longest answer, in tokens.")
        .optional(
            "max_seq_len",
            with(whole_number(1), "default", WINDOW_TOKENS),
            "The longest window in tokens, with the question; no longer than what the model reads.",
        )
        .optional("max_question_len", whole_number(1), "Of no effect, as with transformers' fast tokenizers: questions are not cut.")
        .optional("handle_impossible_answer", flag(false), "Whether no answer joins the list, as an empty one.")
        .optional("align_to_words", flag(true), "Whether answers are whole words.")
        .optional("padding", switch(PADDINGS), NO_PADDING)
        .optional(
            "truncation",
            switch(&["longest_first", "only_first", "only_second", "do_not_truncate"]),
            "Of no effect, as with transformers: long contexts are read in windows.",
        )
        .optional(
            "max_length",
            whole_number(1),
            "Of no effect, as with transformers: a window's length is `max_seq_len`.",
        );
    let parameters = scheduling(parameters);
    body(
        "The body of question-answering.",
        inputs,
        "A question with its context, a list of these, or lists of both as one object.",
        parameters,
    )
}

const PADDINGS: &[&str] = &["longest", "max_length", "do_not_pad"];
const NO_PADDING: &str = "Of no effect on an answer: what is filled up is masked.";

/// What every pipeline takes.
fn scheduling(parameters: Object) -> Object {
    let words = "Of no effect: the server decides what runs together.";
    parameters
        .optional("batch_size", whole_number(1), words)
        .optional("num_workers", whole_number(0), words)
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

/// True, false, or a name.
fn switch(names: &[&str]) -> Value {
    json!({"anyOf": [flag(), {"type": "string", "enum": names}]})
}

/// Names that may be in any case; those in small letters and in capitals are listed.
fn any_case(names: &[&str]) -> Value {
    let small = names.iter().map(|name| (*name).to_owned());
    let capital = names.iter().map(|name| name.to_uppercase());
    json!({"type": "string", "enum": small.chain(capital).collect::<Vec<_>>()})
}
