//! The four tasks' native routes in the document.

use serde_json::{Value, json};

use super::TASKS;
use super::operation::{Example, Operation, example};
use super::schema::{
    Object, answer, count, list, one_of_names, probability, reference, request, string,
    whole_number, with,
};
use crate::config::Limits;
use crate::service::{QA_ANSWER_TOKENS, QA_MAX_TOP_K, QA_STRIDE, QA_WINDOW_TOKENS};

/// What each of the four operations may end in.
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
        .answers("One result for each input, in order.", answer, answers)
        .answer_headers(&[("server-timing", "ServerTiming")])
        .fails_with(STATUSES)
}

fn discriminate() -> Operation {
    let asked = vec![
        example(
            "words",
            "Which words of a text were replaced",
            json!({"text": "The quick brown fox fake over the lazy dog", "level": "word"}),
        ),
        example(
            "tokens",
            "The tokens of two texts, with a threshold of one's own",
            json!({"text": ["She sings", "東京"], "threshold": 0.9, "offsets": "utf16"}),
        ),
    ];
    let word = |word: &str, start: usize, score: f64, fake: bool| json!({"word": word, "start": start, "end": start + word.len(), "score": score, "fake": fake});
    let answered = vec![example(
        "words",
        "Which words of a text were replaced",
        json!({"model": "electra-mini-discriminator", "results": [{"words": [
            word("The", 0, 0.153, false), word("quick", 4, 0.257, false), word("brown", 10, 0.109, false),
            word("fox", 16, 0.125, false), word("fake", 20, 0.609, true), word("over", 25, 0.346, false),
            word("the", 30, 0.122, false), word("lazy", 34, 0.423, false), word("dog", 39, 0.175, false),
        ]}]}),
    )];
    operation(
        "/discriminate",
        "discriminate",
        "Find the tokens or words that were replaced",
        "Scores each token of a text by the probability that it replaced another one. A text may be longer than the model \
         reads: it is then read in overlapping windows, and each token is scored where it has most context. Special tokens \
         are left out; a text of white space has no tokens.",
        ["DiscriminateRequest", "DiscriminateResponse"],
        [asked, answered],
    )
}

fn classify() -> Operation {
    let asked = vec![
        example(
            "text",
            "The labels of one text",
            json!({"text": "A wonderful, moving film."}),
        ),
        example(
            "texts",
            "The best label of each of several texts",
            json!({"text": ["A wonderful, moving film.", "Dull, clumsy and far too long."], "top_k": 1}),
        ),
        example(
            "pair",
            "A pair of texts, cut where it is too long",
            json!({"text": [["A wonderful film.", "I would see it again."]], "truncate": true}),
        ),
    ];
    let answered = vec![
        example(
            "text",
            "The labels of one text",
            json!({"model": "electra-mini-sentiment", "results": [
                {"labels": [{"label": "positive", "score": 0.998}, {"label": "negative", "score": 0.002}]},
            ]}),
        ),
        example(
            "texts",
            "The best label of each of several texts",
            json!({"model": "electra-mini-sentiment", "results": [
                {"labels": [{"label": "positive", "score": 0.998}]},
                {"labels": [{"label": "negative", "score": 0.992}]},
            ]}),
        ),
    ];
    operation(
        "/classify",
        "classify",
        "Label texts or pairs of texts",
        "Scores a text, or a pair of texts, for each label of the model, best first. A text that is longer than the model reads \
         is refused, naming its length and the limit, unless `truncate` is true. Of a pair, the longer text is cut first.",
        ["ClassifyRequest", "ClassifyResponse"],
        [asked, answered],
    )
}

fn tag() -> Operation {
    let asked = vec![
        example(
            "phrases",
            "The phrases of a text",
            json!({"text": "The old man bought a new car in London."}),
        ),
        example(
            "tokens",
            "Each token with its whole label",
            json!({"text": ["She sings"], "aggregation": "none"}),
        ),
    ];
    let entity = |label: &str, text: &str, start: usize| json!({"label": label, "score": 0.999, "start": start, "end": start + text.len(), "text": text});
    let answered = vec![
        example(
            "phrases",
            "The phrases of a text",
            json!({"model": "electra-mini-chunker", "results": [{"entities": [
                entity("NP", "The old man", 0), entity("VP", "bought", 12), entity("NP", "a new car", 19),
                entity("PP", "in", 29), entity("NP", "London", 32),
            ]}]}),
        ),
        example(
            "tokens",
            "Each token with its whole label",
            json!({"model": "electra-mini-chunker", "results": [{"entities": [
                entity("B-NP", "She", 0), entity("B-VP", "sings", 4),
            ]}]}),
        ),
    ];
    operation(
        "/tag",
        "tag",
        "Find the entities of texts",
        "Labels the tokens of a text and joins them to entities. A text may be longer than the model reads: it is then read in \
         overlapping windows. Tokens labelled `O` are left out.",
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
            "Several questions, one of which its context does not answer",
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
            "Several questions, one of which its context does not answer",
            json!({"model": "electra-mini-qa", "results": [
                {"answers": [noon], "no_answer_score": 0.0},
                {"answers": [], "no_answer_score": 1.0},
            ]}),
        ),
    ];
    operation(
        "/qa",
        "answer",
        "Answer questions from their contexts",
        "Finds the spans of a context that answer a question. A context may be longer than the model reads: it is then read in \
         overlapping windows. `score` is the probability of a span under one softmax over all admissible spans of all windows \
         and over no answer at all, so that all of them sum to one. No answer wins when `no_answer_score` is above the best \
         span's score.",
        ["QaRequest", "QaResponse"],
        [asked, answered],
    )
}

/// The schemas of requests and answers, by their names.
pub fn schemas(limits: &Limits) -> Vec<(&'static str, Value)> {
    let mut schemas = vec![
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
    ];
    schemas.extend(results());
    schemas
}

fn discriminate_request(limits: &Limits) -> Object {
    request("What to look at, and how.")
        .required("text", one_or_more(text(limits), limits), "A text, or a list of texts.")
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
    let text = json!({"oneOf": [visible, several(input, limits)]});
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
        .required("text", one_or_more(text(limits), limits), "A text, or a list of texts.")
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
            several(reference("QaItem"), limits),
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
    let top_k = json!({"type": "integer", "minimum": 1, "maximum": QA_MAX_TOP_K, "default": 1});
    let stride = json!({"type": "integer", "minimum": 0, "maximum": QA_WINDOW_TOKENS / 2, "default": QA_STRIDE});
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
            with(whole_number(1), "default", QA_ANSWER_TOKENS),
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

fn results() -> Vec<(&'static str, Value)> {
    let place = |object: Object| {
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
    };
    let scored = |object: Object, words: &str| {
        place(object)
            .required("score", probability(), words)
            .required(
                "fake",
                json!({"type": "boolean"}),
                "Whether the score is above the threshold.",
            )
    };
    let discrimination = json!({
        "description": "What was found in one text, in its order.",
        "oneOf": [
            Value::from(answer("At level token.").required("tokens", list(reference("ScoredToken")), "Every token.")),
            Value::from(answer("At level word.").required("words", list(reference("ScoredWord")), "Every word.")),
        ],
    });
    vec![
        ("DiscriminateResponse", response("Discrimination")),
        ("Discrimination", discrimination),
        (
            "ScoredToken",
            scored(
                answer("One token and its score.").required(
                    "token",
                    string(),
                    "As the vocabulary spells it: `##ing`.",
                ),
                "The probability that it replaced another one.",
            )
            .into(),
        ),
        (
            "ScoredWord",
            scored(
                answer("One word and its score.").required(
                    "word",
                    string(),
                    "Its stretch of the text.",
                ),
                "The highest score of its tokens.",
            )
            .into(),
        ),
        ("ClassifyResponse", response("Classification")),
        (
            "Classification",
            answer("The labels of one input.")
                .required("labels", list(reference("LabelScore")), "Best first.")
                .present(
                    "truncated",
                    json!({"const": true}),
                    "There where the input was cut.",
                )
                .into(),
        ),
        (
            "LabelScore",
            answer("One label and its score.")
                .required("label", string(), "Its name.")
                .required(
                    "score",
                    json!({"type": "number"}),
                    "0 to 1, or any number for regression and the function none.",
                )
                .into(),
        ),
        ("TagResponse", response("Tagging")),
        (
            "Tagging",
            answer("The entities of one text.")
                .required(
                    "entities",
                    list(reference("TaggedEntity")),
                    "In the order of the text.",
                )
                .into(),
        ),
        (
            "TaggedEntity",
            place(answer("One entity.").required("label", string(), "What it is."))
                .required("score", probability(), "How sure the model is.")
                .required(
                    "text",
                    string(),
                    "That stretch of the text, as it was sent.",
                )
                .into(),
        ),
        ("QaResponse", response("QaAnswers")),
        (
            "QaAnswers",
            answer("The answers to one question.")
                .required(
                    "answers",
                    list(reference("AnswerSpan")),
                    "Best first; none where no answer wins.",
                )
                .required(
                    "no_answer_score",
                    probability(),
                    "The probability that the context does not answer the question.",
                )
                .into(),
        ),
        (
            "AnswerSpan",
            place(answer("One answer.").required(
                "text",
                string(),
                "The span of the context, whole words.",
            ))
            .required(
                "score",
                probability(),
                "Its probability among all spans of the context and no answer at all.",
            )
            .into(),
        ),
    ]
}

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

/// The bound is of bytes, which a text has no fewer of than characters.
fn text(limits: &Limits) -> Value {
    json!({"type": "string", "maxLength": limits.max_text_bytes})
}

fn visible_text(limits: &Limits) -> Value {
    with(text(limits), "pattern", r"\S")
}

fn several(items: Value, limits: &Limits) -> Value {
    json!({"type": "array", "items": items, "minItems": 1, "maxItems": limits.max_inputs})
}

fn one_or_more(item: Value, limits: &Limits) -> Value {
    json!({"oneOf": [item.clone(), several(item, limits)]})
}
