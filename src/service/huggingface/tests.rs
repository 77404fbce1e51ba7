//! The pipelines with a fake model: accepted and refused requests, and answers.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::budget::*;
use super::*;
use crate::error::ServiceError;
use crate::service::json;
use crate::service::testing::{Fixture, MAX_TOKENS, context};
use crate::stage::Stage;
use crate::task::Task;
use crate::text::windows::Window;

/// The answer of a fake model of this task to a body.
async fn ask(task: Task, body: Value) -> Result<Value, ServiceError> {
    ask_of(&Fixture::new(task), body).await
}

async fn ask_of(fixture: &Fixture, body: Value) -> Result<Value, ServiceError> {
    let body = body.to_string();
    let call = PipelineCall {
        model: "model".to_owned(),
        request: json::parse(body.as_bytes())?,
        bytes: body.len(),
    };
    let answer = fixture.service.answer(call, &context()).await?;
    Ok(serde_json::to_value(answer.output).unwrap())
}

async fn refused(task: Task, body: Value, code: &str, part: &str) {
    let error = ask(task, body.clone()).await.expect_err("it was answered");
    assert_eq!(error.code(), code, "{body}: {error}");
    assert!(error.to_string().contains(part), "{body}: {error}");
}

#[tokio::test]
async fn one_text_is_answered_by_a_list_in_a_list() {
    let raw = json!({"function_to_apply": "NONE"});
    let found = ask(Task::Classify, json!({"inputs": "good", "parameters": raw}));
    assert_eq!(
        found.await.unwrap(),
        json!([[{"label": "good", "score": 1.0}, {"label": "bad", "score": 0.5}]])
    );
    let inputs = json!(["good", {"text": "good", "text_pair": "good"}, [["a", "good"]], {"text": "a", "text_pair": null}]);
    let body = json!({"inputs": inputs, "parameters": {"function_to_apply": "none", "top_k": 1}});
    let found = ask(Task::Classify, body).await.unwrap();
    let scores: Vec<&Value> = (0..4).map(|index| &found[index][0]["score"]).collect();
    assert_eq!(scores, [1.0, 2.0, 1.0, 0.5]);
    assert_eq!(found[0].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn parameters_may_be_absent_null_or_empty() {
    for rest in [
        json!({}),
        json!({"parameters": null}),
        json!({"parameters": {}}),
        json!({"parameters": {"top_k": null, "function_to_apply": null, "truncation": null}}),
        json!({"options": {"use_cache": true, "wait_for_model": false}}),
    ] {
        let mut body = json!({"inputs": ""});
        body.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        let found = ask(Task::Classify, body).await.unwrap();
        assert_eq!(found[0].as_array().map(Vec::len), Some(2), "{rest}");
    }
}

#[tokio::test]
async fn what_a_pipeline_does_not_know_is_refused_by_name() {
    let with = |parameters: Value| json!({"inputs": "a", "parameters": parameters});
    let classify = Task::Classify;
    refused(
        classify,
        json!({"inputs": "a", "parameter": {}}),
        "unknown_field",
        "`parameters`?",
    )
    .await;
    refused(
        classify,
        json!({"inputs": "a", "options": {"use_gpu": true}}),
        "unknown_field",
        "`options` has the unknown field `use_gpu`",
    )
    .await;
    refused(
        classify,
        with(json!({"topk": 1})),
        "unknown_field",
        "`parameters` has the unknown field `topk`. Did you mean `top_k`?",
    )
    .await;
    refused(
        classify,
        with(json!([])),
        "invalid_type",
        "`parameters` has the wrong type",
    )
    .await;
    refused(
        classify,
        with(json!({"top_k": 0})),
        "invalid_value",
        "`parameters.top_k`",
    )
    .await;
    refused(
        classify,
        with(json!({"function_to_apply": "relu"})),
        "invalid_value",
        "`parameters.function_to_apply`",
    )
    .await;
    refused(classify, json!({}), "missing_field", "`inputs`").await;
    for (inputs, place) in [
        (json!(null), "`inputs`"),
        (json!(["a", 5]), "`inputs[1]`"),
        (json!([["a", "b"]]), "`inputs[0]`"),
        (json!([[["a"]]]), "`inputs[0][0]`"),
        (json!([{"text": 1}]), "`inputs[0].text`"),
    ] {
        refused(classify, json!({"inputs": inputs}), "invalid_type", place).await;
    }
    refused(
        classify,
        json!({"inputs": {"text": "a", "pair": "b"}}),
        "unknown_field",
        "`inputs`",
    )
    .await;
    refused(classify, json!({"inputs": []}), "empty_input", "`inputs`").await;
    refused(
        Task::Tag,
        with(json!({"aggregation_strategy": "Longest"})),
        "invalid_value",
        "`parameters.aggregation_strategy`",
    )
    .await;
    refused(
        Task::Tag,
        with(json!({"ignore_labels": "O"})),
        "invalid_type",
        "`parameters.ignore_labels`",
    )
    .await;
    refused(
        Task::Discriminate,
        json!({"inputs": "a"}),
        "wrong_task",
        "/discriminate",
    )
    .await;
}

#[tokio::test]
async fn a_text_that_is_too_long_to_classify_is_refused_or_cut_as_asked() {
    let long = format!("{}good", "fox ".repeat(MAX_TOKENS - 2));
    refused(
        Task::Classify,
        json!({"inputs": ["a", long]}),
        "too_many_tokens",
        "\"truncation\"",
    )
    .await;
    let parameters = json!({"truncation": true, "function_to_apply": "none"});
    let found = ask(
        Task::Classify,
        json!({"inputs": long, "parameters": parameters}),
    );
    assert_eq!(
        found.await.unwrap()[0][0]["label"],
        "bad",
        "good is cut off"
    );
}

#[tokio::test]
async fn a_token_has_its_piece_and_its_position() {
    let token = |entity: &str, index: u32, word: &str, start: u32, end: u32| {
        json!([entity, index, word, start, end])
    };
    let found = ask(Task::Tag, json!({"inputs": "東 Foxes zzz"})).await;
    let brief = |entity: &Value| {
        json!([
            entity["entity"],
            entity["index"],
            entity["word"],
            entity["start"],
            entity["end"]
        ])
    };
    let found: Vec<Value> = found
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(brief)
        .collect();
    assert_eq!(
        found,
        [token("B-X", 2, "fox", 2, 5), token("I-X", 3, "##es", 5, 7)]
    );
    let body = json!({"inputs": ["Foxes zzz", ""], "parameters": {"ignore_labels": [], "aggregation_strategy": "First"}});
    let found = ask(Task::Tag, body).await.unwrap();
    let words: Vec<&Value> = found[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|entity| &entity["word"])
        .collect();
    assert_eq!(words, ["foxes", "zzz"], "an unknown word is as it was sent");
    assert_eq!(found[1], json!([]));
}

#[tokio::test]
async fn a_long_text_is_tagged_to_its_end() {
    let text = format!("{}foxes", "over ".repeat(3 * MAX_TOKENS));
    let found = ask(Task::Tag, json!({"inputs": text})).await.unwrap();
    assert_eq!(found[0]["index"], 3 * MAX_TOKENS + 1);
    let parameters = json!({"aggregation_strategy": "simple", "stride": 3});
    let body = json!({"inputs": text, "parameters": parameters});
    let found = ask(Task::Tag, body).await.unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found[0]["end"], text.len());
}

#[tokio::test]
async fn strides_leave_a_step_forward_that_is_worth_its_cost() {
    let with = |text: &str, parameters: Value| json!({"inputs": text, "parameters": parameters});
    let (last, beyond) = (MAX_TOKENS - 3, MAX_TOKENS - 2);
    let strategy = |stride| json!({"aggregation_strategy": "simple", "stride": stride});
    refused(
        Task::Tag,
        with("a", strategy(beyond)),
        "invalid_value",
        "at most 9",
    )
    .await;
    refused(
        Task::Tag,
        with("a", json!({"aggregation_strategy": "none", "stride": 1})),
        "invalid_value",
        "`none`",
    )
    .await;
    assert!(
        ask(Task::Tag, with("a", strategy(last))).await.is_ok(),
        "one window"
    );
    let windows = |count: usize, step: usize| -> Vec<Window> {
        let window = |index| Window {
            tokens: index * step..index * step + 100,
        };
        (0..count).map(window).collect()
    };
    // With a step of 7, a sixteenth of a window, any number is affordable.
    assert!(is_affordable(&windows(2, 7), 100, 512));
    assert!(is_affordable(&windows(10_000, 7), 100, 512));
    assert!(!is_affordable(&windows(10_000, 6), 100, 512));
    // With less, as many as have together 16 times the text's tokens, and 1,024.
    assert!(is_affordable(&windows(31, 1), 100, 512));
    assert!(!is_affordable(&windows(32, 1), 100, 512));
    // A model that reads no more may do so more often, up to a bound.
    assert!(is_affordable(&windows(45, 1), 100, 100));
    assert!(is_affordable(&windows(600, 3), 100, 100));
    assert!(!is_affordable(&windows(700, 3), 100, 100));
}

#[test]
fn of_overlapping_entities_the_longest_then_the_surest_is_kept() {
    let entity = |start, end, score| PipelineEntity {
        label: EntityLabel::Group {
            entity_group: String::new(),
        },
        score,
        word: String::new(),
        start,
        end,
    };
    let kept = token_classification::longest_of_overlapping(vec![
        entity(8, 12, 0.5),
        entity(0, 4, 0.5),
        entity(2, 7, 0.1),
        entity(3, 8, 0.2),
        entity(10, 14, 0.4),
    ]);
    let kept: Vec<_> = kept
        .iter()
        .map(|entity| (entity.start, entity.end))
        .collect();
    assert_eq!(kept, [(3, 8), (8, 12)]);
}

#[tokio::test]
async fn one_answer_stands_alone_and_several_in_a_list() {
    let item = json!({"question": "?", "context": "the answer"});
    let one = ask(Task::Qa, json!({"inputs": item})).await.unwrap();
    assert_eq!(
        [&one["answer"], &one["start"], &one["end"]],
        [&json!("answer"), &json!(4), &json!(10)]
    );
    let listed = ask(Task::Qa, json!({"inputs": [item]})).await.unwrap();
    assert_eq!(listed, one, "a list of one is as that one");
    let two = ask(Task::Qa, json!({"inputs": [item, item]}))
        .await
        .unwrap();
    assert_eq!(two, json!([one, one]));
    let body = json!({"inputs": item, "parameters": {"topk": 3, "handle_impossible_answer": true}});
    let list = ask(Task::Qa, body).await.unwrap();
    let answers: Vec<&Value> = list.as_array().unwrap().iter().collect();
    assert_eq!(
        (answers.len(), &answers[0]["answer"]),
        (3, &json!("answer"))
    );
    assert!(
        answers.iter().any(|answer| answer["answer"] == ""),
        "{list}"
    );
}

#[tokio::test]
async fn answers_that_windows_share_are_one_with_the_scores_of_both() {
    // With a one-token question, windows of 7 tokens hold 3 of the context, and overlap by 2.
    let context = "東 Answer over fox";
    let ask = |parameters| {
        let inputs = json!({"question": "?", "context": context});
        async move {
            let body = json!({"inputs": inputs, "parameters": parameters});
            ask(Task::Qa, body).await.unwrap()
        }
    };
    let found = ask(json!({"max_seq_len": 7, "doc_stride": 2})).await;
    assert_eq!(
        [&found["answer"], &found["start"], &found["end"]],
        [&json!("Answer"), &json!(2), &json!(8)]
    );
    assert!(found["score"].as_f64().unwrap() > 1.9, "{found}");
    let apart = ask(json!({"max_seq_len": 7, "doc_stride": 0})).await;
    assert!(apart["score"].as_f64().unwrap() <= 1.0, "{apart}");
}

#[tokio::test]
async fn what_transformers_refuses_to_answer_is_refused() {
    let with = |parameters: Value| {
        let inputs = json!({"question": "?", "context": "the answer"});
        json!({"inputs": inputs, "parameters": parameters})
    };
    for (parameters, place) in [
        (json!({"max_answer_len": 0}), "`parameters.max_answer_len`"),
        (json!({"top_k": 0}), "`parameters.top_k`"),
        (json!({"top_k": 101}), "`parameters.top_k`"),
        (json!({"doc_stride": 11}), "`parameters.doc_stride`"),
        (
            json!({"doc_stride": usize::MAX, "max_seq_len": 8}),
            "`parameters.doc_stride`",
        ),
    ] {
        refused(Task::Qa, with(parameters), "invalid_value", place).await;
    }
    for (question, context, place) in [("", "a", "inputs.question"), ("?", "", "inputs.context")] {
        let body = json!({"inputs": {"question": question, "context": context}});
        refused(Task::Qa, body, "empty_text", place).await;
    }
    let long = "over ".repeat(MAX_TOKENS);
    let body = json!({"inputs": [{"question": long, "context": "a"}]});
    refused(
        Task::Qa,
        body,
        "question_too_long",
        "`inputs[0].question` has 12 tokens",
    )
    .await;
    let body =
        json!({"inputs": {"question": "?", "context": long}, "parameters": {"doc_stride": 9}});
    refused(Task::Qa, body, "invalid_value", "`parameters.doc_stride`").await;
}

#[tokio::test]
async fn a_context_of_white_space_has_no_answer() {
    let parameters = json!({"handle_impossible_answer": true});
    let inputs = json!({"question": " ", "context": " \n"});
    let body = json!({"inputs": inputs, "parameters": parameters});
    let found = ask(Task::Qa, body).await.unwrap();
    assert_eq!(
        found,
        json!({"score": 1.0, "start": 0, "end": 0, "answer": ""})
    );
}

#[tokio::test]
async fn an_endpoint_says_what_it_is_and_whether_it_answers() {
    let fixture = Fixture::new(Task::Tag);
    let service = &fixture.service;
    assert_eq!(service.endpoint_health("model"), Ok(()));
    assert_eq!(
        serde_json::to_value(service.endpoint_info("model@1").unwrap()).unwrap(),
        json!({
            "model_id": "model", "version": "1", "task": "token-classification", "precision": "int8",
            "device": "cpu", "max_tokens": MAX_TOKENS, "labels": ["O", "B-X", "I-X"]
        })
    );
    let missing = service.endpoint_health("none").unwrap_err();
    assert_eq!(missing.code(), "model_not_found");
    service.enter(Stage::Draining);
    assert_eq!(
        service.endpoint_health("model"),
        Err(ServiceError::Draining)
    );
}

/// Parameters that the server cannot honour are refused with a reason, not as unknown fields.
#[tokio::test]
async fn what_can_not_be_honoured_says_why() {
    let with =
        |inputs: Value, parameters: Value| json!({"inputs": inputs, "parameters": parameters});
    for (task, name, value, reason) in [
        (Task::Classify, "stride", json!(2), "one sequence"),
        (
            Task::Classify,
            "add_special_tokens",
            json!(false),
            "special tokens",
        ),
        (
            Task::Classify,
            "is_split_into_words",
            json!(true),
            "join the words",
        ),
        (
            Task::Classify,
            "return_tensors",
            json!("pt"),
            "labels and nothing",
        ),
        (Task::Classify, "max_length", json!(2), "at least 3"),
        (
            Task::Classify,
            "truncation",
            json!("first_only"),
            "`only_first`",
        ),
        (
            Task::Classify,
            "padding",
            json!("longest_first"),
            "`max_length`",
        ),
        (
            Task::Tag,
            "offset_mapping",
            json!([[0, 1]]),
            "own tokenizer",
        ),
        (Task::Tag, "truncation", json!(true), "tagged to their end"),
        (Task::Tag, "max_length", json!(9), "tagged to their end"),
    ] {
        let body = with(json!("good"), json!({name: value}));
        refused(task, body, "invalid_value", reason).await;
        if !reason.starts_with(['`', 'a']) {
            let absent = with(json!("good"), json!({name: null}));
            assert!(ask(task, absent).await.is_ok(), "{name}");
        }
    }
    let question = json!({"question": "a", "context": "good"});
    let body = with(question, json!({"padding": "left"}));
    refused(Task::Qa, body, "invalid_value", "`parameters.padding`").await;
}

#[tokio::test]
async fn all_scores_have_the_shapes_that_transformers_gives_them() {
    let pair = json!({"text": "good", "text_pair": "good"});
    let given = |inputs: &Value, parameters: Value| {
        let mut parameters = parameters;
        parameters["function_to_apply"] = "none".into();
        ask(
            Task::Classify,
            json!({"inputs": inputs, "parameters": parameters}),
        )
    };
    let (all, best) = (
        json!({"return_all_scores": true}),
        json!({"return_all_scores": false}),
    );
    let label = |name: &str, score: f64| json!({"label": name, "score": score});
    // In the order of the model's outputs. The second label is the better one.
    let text = given(&json!("good"), all.clone()).await.unwrap();
    assert_eq!(text, json!([[label("bad", 0.5), label("good", 1.0)]]));
    let found = given(&pair, all.clone()).await.unwrap();
    assert_eq!(found, json!([label("bad", 0.5), label("good", 2.0)]));
    let found = given(&json!("good"), best.clone()).await.unwrap();
    assert_eq!(found, json!([label("good", 1.0)]));
    let found = given(&pair, best.clone()).await.unwrap();
    assert_eq!(found, label("good", 2.0));
    let found = given(&json!(["good", pair]), best).await.unwrap();
    assert_eq!(found, json!([label("good", 1.0), label("good", 2.0)]));
    // `top_k` overrides it, even if null.
    let ranked = json!({"return_all_scores": false, "top_k": null});
    let found = given(&json!("good"), ranked).await.unwrap();
    assert_eq!(found, json!([[label("good", 1.0), label("bad", 0.5)]]));
}

#[tokio::test]
async fn only_the_text_that_is_named_is_cut() {
    let words = |count: usize| vec!["good"; count].join(" ");
    let body = |first: usize, second: usize, truncation: Value| {
        json!({
            "inputs": {"text": words(first), "text_pair": words(second)},
            "parameters": {"truncation": truncation, "max_length": 7},
        })
    };
    for (first, second, truncation) in [
        (4, 2, json!("only_first")),
        (2, 4, json!("only_second")),
        (4, 4, json!("longest_first")),
        (4, 4, json!(true)),
    ] {
        let found = ask(Task::Classify, body(first, second, truncation.clone())).await;
        assert!(found.is_ok(), "{truncation}: {found:?}");
    }
    for (first, second, truncation, name) in [
        (1, 6, "only_first", "first"),
        (6, 1, "only_second", "second"),
    ] {
        let body = body(first, second, truncation.into());
        let reason = format!(
            "only the {name} text is to be truncated, and it has 1 tokens where 3 have to be removed"
        );
        refused(Task::Classify, body, "invalid_value", &reason).await;
    }
    let lone = json!({
        "inputs": words(9),
        "parameters": {"truncation": "only_second", "max_length": 7},
    });
    refused(Task::Classify, lone, "invalid_value", "has 0 tokens").await;
}

/// The delimiter counts once per gap between words. The text's length is checked before the text is built.
#[tokio::test]
async fn a_text_of_words_is_no_longer_than_texts_may_be() {
    let body = |inputs: Value| json!({"inputs": inputs, "parameters": {"is_split_into_words": true, "delimiter": "x".repeat(1 << 20)}});
    let words = vec![""; 1 << 18];
    refused(Task::Tag, body(json!(words)), "text_too_long", "`inputs`").await;
    refused(
        Task::Tag,
        body(json!([["a"], words])),
        "text_too_long",
        "`inputs[1]`",
    )
    .await;
    // The number of texts is checked first too.
    let many = vec![["", ""]; 1 << 10];
    refused(Task::Tag, body(json!(many)), "too_many_inputs", "`inputs`").await;
}

#[tokio::test]
async fn lists_of_words_are_lists_of_strings() {
    let body =
        |inputs: Value| json!({"inputs": inputs, "parameters": {"is_split_into_words": true}});
    let ask = |inputs: Value| ask(Task::Tag, body(inputs));
    // A single list of words is answered with a list.
    assert_eq!(
        ask(json!(["over"]))
            .await
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        ask(json!([["over"], []]))
            .await
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    for (inputs, code, place) in [
        (json!("over"), "invalid_type", "`inputs`"),
        (json!(["over", 1]), "invalid_type", "`inputs[1]`"),
        (json!([["over"], "under"]), "invalid_type", "`inputs[1]`"),
        (
            json!([["over"], ["a", null]]),
            "invalid_type",
            "`inputs[1][1]`",
        ),
        (json!([]), "empty_input", "`inputs`"),
    ] {
        refused(Task::Tag, body(inputs), code, place).await;
    }
}

#[tokio::test]
async fn questions_and_contexts_in_lists_go_together() {
    let ask = |inputs: Value| ask(Task::Qa, json!({"inputs": inputs}));
    let count = |answer: Value| answer.as_array().map(Vec::len);
    let shared = ask(json!({"question": ["a", "b"], "context": "good"})).await;
    assert_eq!(count(shared.unwrap()), Some(2));
    let one = ask(json!({"question": ["a"], "context": ["good"]})).await;
    assert_eq!(
        count(one.unwrap()),
        None,
        "one question is answered by itself"
    );
    for (inputs, code, part) in [
        (
            json!({"question": "a", "context": ["good"]}),
            "invalid_value",
            "`inputs.context`",
        ),
        (
            json!({"question": ["a", "b"], "context": ["good"]}),
            "invalid_value",
            "one for each",
        ),
        (
            json!({"question": [], "context": "good"}),
            "empty_input",
            "`inputs`",
        ),
        (
            json!({"question": ["a", ""], "context": "good"}),
            "empty_text",
            "`inputs.question[1]`",
        ),
        (
            json!({"question": ["a", 1], "context": "good"}),
            "invalid_type",
            "`inputs.question[1]`",
        ),
        (
            json!([{"question": ["a"], "context": "good"}]),
            "invalid_type",
            "`inputs[0].question`",
        ),
    ] {
        refused(Task::Qa, json!({"inputs": inputs}), code, part).await;
    }
    // A context counts once per question. Together they must not exceed the body's limit.
    let many = json!({"question": vec!["a"; 200], "context": "good ".repeat(4000)});
    refused(
        Task::Qa,
        json!({"inputs": many}),
        "body_too_large",
        "2097152",
    )
    .await;
}

/// Adds 6 KiB without tokens, so that a part holds two of these texts.
fn padded(text: &str) -> String {
    text.to_owned() + &" ".repeat(6 << 10)
}

/// The answers to inputs that are each sent alone, in lists of one.
async fn one_by_one(task: Task, inputs: &[Value], parameters: &Value) -> Vec<Value> {
    let mut answers = Vec::new();
    for input in inputs {
        let body = json!({"inputs": [input], "parameters": parameters});
        match ask(task, body).await.unwrap() {
            Value::Array(answer) => answers.extend(answer),
            answer => answers.push(answer),
        }
    }
    answers
}

#[tokio::test]
async fn texts_of_several_parts_are_classified_as_each_alone() {
    let text = |count: usize| padded(&"good ".repeat(count));
    let mut inputs: Vec<Value> = (0..6).map(|count| json!(text(count))).collect();
    inputs.insert(3, json!({"text": text(4), "text_pair": text(5)}));
    for parameters in [
        json!({"function_to_apply": "none"}),
        json!({"function_to_apply": "none", "return_all_scores": true}),
        json!({"function_to_apply": "none", "return_all_scores": false}),
    ] {
        let body = json!({"inputs": inputs, "parameters": parameters});
        let together = ask(Task::Classify, body).await.unwrap();
        let alone = one_by_one(Task::Classify, &inputs, &parameters).await;
        assert_eq!(together, json!(alone), "{parameters}");
        assert_eq!(alone.len(), 7, "{parameters}");
    }
    // A pair of more than a part is still a lone pair.
    let pair = json!({"text": padded(&text(1)), "text_pair": padded(&text(1))});
    let parameters = json!({"function_to_apply": "none", "return_all_scores": false});
    let found = ask(
        Task::Classify,
        json!({"inputs": pair, "parameters": parameters}),
    );
    assert_eq!(found.await.unwrap(), json!({"label": "good", "score": 2.0}));
}

#[tokio::test]
async fn texts_of_several_parts_are_tagged_as_each_alone() {
    let text = |count: usize| json!(padded(&format!("{}foxes", "over ".repeat(3 * count))));
    let inputs: Vec<Value> = (0..7).map(text).collect();
    for parameters in [
        json!({}),
        json!({"aggregation_strategy": "simple", "stride": 3}),
    ] {
        let body = json!({"inputs": inputs, "parameters": parameters});
        let together = ask(Task::Tag, body).await.unwrap();
        let alone = one_by_one(Task::Tag, &inputs, &parameters).await;
        assert_eq!(together, json!(alone), "{parameters}");
        assert_eq!(alone.len(), 7, "{parameters}");
    }
}

#[tokio::test]
async fn questions_of_several_parts_are_answered_as_each_alone() {
    let item = |count: usize| {
        let context = padded(&format!("{}answer", "over ".repeat(3 * count)));
        json!({"question": "?", "context": context})
    };
    let inputs: Vec<Value> = (0..7).map(item).collect();
    let together = ask(Task::Qa, json!({"inputs": inputs})).await.unwrap();
    let alone = one_by_one(Task::Qa, &inputs, &json!({})).await;
    assert_eq!(together, json!(alone));
    // A shared context counts for each question.
    let questions: Vec<String> = (0..7).map(|count| "a ".repeat(count + 1)).collect();
    let context = padded("over answer");
    let shared = json!({"question": questions, "context": context});
    let together = ask(Task::Qa, json!({"inputs": shared})).await.unwrap();
    let item = |question: &String| json!({"question": question, "context": context});
    let inputs: Vec<Value> = questions.iter().map(item).collect();
    let alone = one_by_one(Task::Qa, &inputs, &json!({})).await;
    assert_eq!(together, json!(alone));
}

#[tokio::test]
async fn inputs_are_tokenised_when_those_of_earlier_parts_have_run() {
    let long = "over ".repeat(MAX_TOKENS);
    let text = json!(padded("good"));
    let item = json!({"question": "?", "context": padded("answer")});
    for (task, input, last, code) in [
        (Task::Classify, text, json!(long), "too_many_tokens"),
        (
            Task::Qa,
            item,
            json!({"question": long, "context": "a"}),
            "question_too_long",
        ),
    ] {
        let fixture = Fixture::new(task);
        let mut inputs = vec![input; 8];
        inputs.push(last);
        let error = ask_of(&fixture, json!({"inputs": inputs})).await;
        assert_eq!(error.unwrap_err().code(), code);
        assert!(fixture.model.runs.load(Ordering::SeqCst) > 0, "{task:?}");
    }
}
