//! Evaluation with a model whose answers are computed by hand.

use std::cell::Cell;

use super::*;
use crate::eval::data::columns::ColumnOptions;
use crate::eval::scores::Value;
use crate::service::testing::{Fixture, context};
use crate::task::Task;

async fn scores_of(task: Task, data: &str, options: &EvalOptions) -> Result<Scores, EvalError> {
    let fixture = Fixture::new(task);
    let data = Dataset::read(task, data, &ColumnOptions::default()).unwrap();
    let done = Cell::new(0);
    let evaluation = evaluate(&fixture.service, "model", &data, options, context(), || {
        done.set(done.get() + 1);
    })
    .await?;
    assert_eq!((done.get(), evaluation.inputs), (data.len(), data.len()));
    assert_eq!(evaluation.model, "model");
    Ok(evaluation.scores)
}

#[track_caller]
fn check(scores: &Scores, expected: &[(&str, f64)]) {
    for (name, expected) in expected {
        let found = match scores.get(name) {
            Some(Value::Share(Some(found)) | Value::Number(Some(found))) => found,
            Some(Value::Count(found)) => crate::numbers::float(found),
            other => panic!("{name} is {other:?}"),
        };
        assert!(
            (found - expected).abs() < 1e-6,
            "{name}: {found} instead of {expected}"
        );
    }
}

#[tokio::test]
async fn texts_are_scored_by_their_labels() {
    // More inputs than are in flight at a time, to check their order.
    let data: String = (0..200)
        .map(|index| {
            if index % 4 == 0 {
                "good\tgood\n"
            } else {
                "fox\t0\n"
            }
        })
        .chain(["good\tbad\n", "the fox good\tBAD\n"])
        .collect();
    let scores = scores_of(
        Task::Classify,
        &format!("text\tlabel\n{data}"),
        &EvalOptions::default(),
    )
    .await
    .unwrap();
    check(
        &scores,
        &[("accuracy", 200.0 / 202.0), ("f1", 100.0 / 102.0)],
    );
    assert_eq!(scores.get("truncated"), None);
    assert_eq!(scores.by_label.keys().collect::<Vec<_>>(), ["bad", "good"]);
}

#[tokio::test]
async fn long_texts_are_cut_and_counted() {
    let long = "fox ".repeat(40);
    let data = format!("text\tlabel\n{long}good\tbad\ngood\tgood\n");
    let scores = scores_of(Task::Classify, &data, &EvalOptions::default())
        .await
        .unwrap();
    check(&scores, &[("accuracy", 1.0), ("truncated", 1.0)]);
}

#[tokio::test]
async fn labels_of_the_data_may_have_other_names() {
    let options = |names: &[&str]| EvalOptions {
        labels: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..EvalOptions::default()
    };
    let data = "text\tlabel\ngood\tyes\nfox\tno\n";
    let scores = scores_of(Task::Classify, data, &options(&["no", "yes"]))
        .await
        .unwrap();
    check(&scores, &[("accuracy", 1.0), ("matthews_correlation", 1.0)]);
    for (options, expected) in [
        (
            options(&["no"]),
            "1 labels are named, and the model has 2: bad, good",
        ),
        (
            EvalOptions::default(),
            "line 2: `yes` is not one of the model's labels",
        ),
    ] {
        let error = scores_of(Task::Classify, data, &options).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn an_input_that_cannot_be_answered_is_named() {
    let error = scores_of(
        Task::Classify,
        "text\tlabel\nfox\t0\n \t1\n",
        &EvalOptions::default(),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().starts_with("line 3: "), "{error}");
}

#[tokio::test]
async fn words_have_the_tag_of_their_first_token() {
    let data = "The O\nFoxes B-X\n\nover O\nfox I-X\n\nfox O\n";
    let scores = scores_of(Task::Tag, data, &EvalOptions::default())
        .await
        .unwrap();
    // The model tags `fox` as B-X, which counts the same as I-X, and finds one chunk too many in the last sentence.
    check(
        &scores,
        &[
            ("words", 5.0),
            ("chunks", 2.0),
            ("precision", 2.0 / 3.0),
            ("recall", 1.0),
            ("accuracy", 0.6),
        ],
    );
}

#[tokio::test]
async fn data_of_another_kind_of_tags_is_refused() {
    for (data, expected) in [
        (
            "The O\nFoxes B-Y\n",
            "such as `B-Y`, is a label of the model: O, B-X, I-X",
        ),
        ("The O\n", "contains only O"),
    ] {
        let error = scores_of(Task::Tag, data, &EvalOptions::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn replaced_tokens_are_scored_by_stretches() {
    let data = "{\"text\": \"é fake fox\", \"replaced\": [[2, 6]]}\n{\"text\": \"the fake fox\", \"replaced\": [[0, 3]]}\n";
    let scores = scores_of(Task::Discriminate, data, &EvalOptions::default())
        .await
        .unwrap();
    // Of two replaced tokens, one is found. Of two found tokens, one was replaced. There are six tokens.
    check(
        &scores,
        &[
            ("tokens", 6.0),
            ("replaced", 2.0),
            ("precision", 0.5),
            ("recall", 0.5),
            ("threshold", 0.5),
        ],
    );
    check(&scores, &[("auc", (3.0 + 0.5 + 0.0 + 1.5) / 8.0)]);
    let options = EvalOptions {
        threshold: Threshold::new(0.999),
        ..EvalOptions::default()
    };
    let scores = scores_of(Task::Discriminate, data, &options).await.unwrap();
    check(&scores, &[("precision", 0.0), ("accuracy", 4.0 / 6.0)]);
}

#[tokio::test]
async fn answers_are_scored_with_and_without_an_answer() {
    let question = |id: &str, context: &str, answers: &str| {
        format!(
            "{{\"context\": \"{context}\", \"qas\": [{{\"id\": \"{id}\", \"question\": \"fox?\", \"answers\": {answers}}}]}}"
        )
    };
    let file = |paragraphs: &[String]| {
        format!(
            "{{\"data\": [{{\"paragraphs\": [{}]}}]}}",
            paragraphs.join(",")
        )
    };
    let right = question("1", "the answer", "[{\"text\": \"The Answer!\"}]");
    let scores = scores_of(
        Task::Qa,
        &file(std::slice::from_ref(&right)),
        &EvalOptions::default(),
    )
    .await
    .unwrap();
    check(&scores, &[("exact", 1.0), ("f1", 1.0)]);
    assert_eq!(scores.get("has_answer"), None);

    let none = question("2", "the fox", "[]");
    let scores = scores_of(Task::Qa, &file(&[right, none]), &EvalOptions::default())
        .await
        .unwrap();
    check(
        &scores,
        &[
            ("exact", 1.0),
            ("has_answer_f1", 1.0),
            ("no_answer_exact", 1.0),
            ("best_exact", 1.0),
        ],
    );
    let empty = file(&[question("7", " ", "[]")]);
    let error = scores_of(Task::Qa, &empty, &EvalOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("question 7: "), "{error}");
}

#[tokio::test]
async fn a_model_of_another_task_is_refused() {
    let fixture = Fixture::new(Task::Tag);
    let data = Dataset::read(
        Task::Classify,
        "text\tlabel\na\t1\n",
        &ColumnOptions::default(),
    )
    .unwrap();
    let evaluation = evaluate(
        &fixture.service,
        "model",
        &data,
        &EvalOptions::default(),
        context(),
        || (),
    )
    .await;
    assert!(matches!(
        evaluation,
        Err(EvalError::Model(ServiceError::WrongTask { .. }))
    ));
}
