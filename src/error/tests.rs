//! The table, as programs and people see it.

use super::*;
use crate::inference::InferenceError;

fn check(error: &ServiceError, code: &str, status: u16, sentence: &str) {
    assert_eq!((error.code(), error.http_status()), (code, status));
    assert_eq!(error.to_string(), sentence);
}

#[test]
fn errors_have_a_code_a_status_and_a_sentence() {
    check(
        &ServiceError::TooManyTokens {
            place: "text[3]".into(),
            length: 700,
            limit: 512,
        },
        "too_many_tokens",
        422,
        "`text[3]` has 700 tokens, including special tokens; the model reads 512. Shorten it, or have it \
         cut there by \"truncate\": true, in a Hugging Face request \"truncation\": true.",
    );
    check(
        &ServiceError::ModelNotFound {
            name: "x".into(),
            available: vec!["a".into(), "b".into()],
        },
        "model_not_found",
        404,
        "There is no model named `x`. The models are `a`, `b`.",
    );
    check(
        &ServiceError::WrongTask {
            model: "a".into(),
            task: Task::Tag,
            wanted: Task::Qa,
        },
        "wrong_task",
        422,
        "The model `a` does the task tag, not qa. Ask it for tag, or ask another model.",
    );
    check(
        &ServiceError::QueueFull {
            retry_after: Duration::from_millis(1200),
        },
        "queue_full",
        429,
        "The server is busy: the queue is full. Try again in 2 s.",
    );
    check(
        &ServiceError::DeadlineTooShort {
            needed: Duration::from_secs(40),
            retry_after: Duration::from_secs(3),
        },
        "queue_full",
        429,
        "The server is too busy to answer this request by its deadline: it needs about 40 s. Send less at once, raise the \
         timeout, or try again in 3 s.",
    );
}

#[test]
fn every_error_that_passes_says_when_to_try_again() {
    for error in [
        ServiceError::QueueFull {
            retry_after: Duration::from_secs(3),
        },
        ServiceError::DeadlineTooShort {
            needed: Duration::from_secs(3),
            retry_after: Duration::from_secs(3),
        },
        ServiceError::NotReady {
            reason: String::new(),
        },
        ServiceError::Draining,
        ServiceError::TooManyConnections,
        ServiceError::ModelUnavailable {
            model: String::new(),
            reason: String::new(),
        },
        ServiceError::ModelUnloaded {
            model: String::new(),
        },
    ] {
        assert!(
            matches!(error.http_status(), 429 | 503) && error.retry_after().is_some(),
            "{error:?}"
        );
    }
    assert_eq!(ServiceError::DeadlineExceeded.retry_after(), None);
}

#[test]
fn batch_errors_keep_their_meaning_and_hide_the_details() {
    assert_eq!(
        ServiceError::from(BatchError::DeadlineExceeded),
        ServiceError::DeadlineExceeded
    );
    assert_eq!(
        ServiceError::from(BatchError::Closed),
        ServiceError::Draining
    );
    let hidden = ServiceError::from(BatchError::Inference(InferenceError::model("secret")));
    assert!(!hidden.to_string().contains("secret"));
}

#[test]
fn retry_after_rounds_up_to_at_least_a_second() {
    assert_eq!(seconds(Duration::ZERO), 1);
    assert_eq!(seconds(Duration::from_millis(1001)), 2);
    assert_eq!(seconds(Duration::from_secs(5)), 5);
}

#[test]
fn what_a_client_named_is_cut() {
    let name = || "x".repeat(10_000);
    let hint = String::new;
    for error in [
        ServiceError::ModelNotFound {
            name: name(),
            available: Vec::new(),
        },
        ServiceError::RouteNotFound {
            path: name(),
            hint: hint(),
        },
        ServiceError::MethodNotAllowed {
            path: name(),
            method: name(),
        },
        ServiceError::UnknownField {
            place: "The body".to_owned(),
            field: name(),
            hint: hint(),
        },
        ServiceError::WrongTask {
            model: name(),
            task: Task::Tag,
            wanted: Task::Qa,
        },
        ServiceError::NoPipeline {
            model: name(),
            task: Task::Discriminate,
        },
        ServiceError::ModelUnavailable {
            model: name(),
            reason: hint(),
        },
        ServiceError::ModelUnloaded { model: name() },
    ] {
        let sentence = error.to_string();
        let cut = format!("{}…", "x".repeat(100));
        assert!(sentence.contains(&cut), "{sentence}");
        assert!(sentence.len() < 500, "{sentence}");
    }
}
