//! Question answering with the real queue and the fake model.

use super::*;
use crate::service::json;
use crate::service::testing::{Fixture, context};

async fn ask(body: &serde_json::Value) -> Result<Vec<QaAnswers>, ServiceError> {
    let fixture = Fixture::new(Task::Qa);
    let request: QaRequest = json::parse(body.to_string().as_bytes())?;
    fixture
        .service
        .answer(request, &context())
        .await
        .map(|answer| answer.output.results)
}

#[tokio::test]
async fn the_answer_slices_its_context() {
    let results = ask(&serde_json::json!({"question": "the ?", "context": "東 Answer over"}))
        .await
        .unwrap();
    let answer = &results[0].answers[0];
    assert_eq!(
        (answer.text.as_str(), answer.start, answer.end),
        ("Answer", 2, 8)
    );
    assert!(answer.score > 0.99 && results[0].no_answer_score < 0.01);
}

#[tokio::test]
async fn the_answer_is_found_in_any_window() {
    for position in [0, 7, 13, 29] {
        let mut words = vec!["over"; 30];
        words[position] = "answer";
        let body = serde_json::json!({"items": [
            {"question": "the ?", "context": "the answer"},
            {"question": "the ?", "context": words.join(" ")},
        ]});
        let results = ask(&body).await.unwrap();
        assert_eq!(results[1].answers[0].start, position * 5, "{position}");
        assert_eq!(results[0].answers[0].start, 4);
    }
}

#[tokio::test]
async fn no_answer_wins_only_if_it_may() {
    let unanswerable = |may: bool| serde_json::json!({"question": "?", "context": "over a good fox", "no_answer": may});
    let with = ask(&unanswerable(true)).await.unwrap();
    let without = ask(&unanswerable(false)).await.unwrap();
    assert!(with[0].answers.is_empty() && with[0].no_answer_score > 0.99);
    assert_eq!(without[0].answers.len(), 1);
    let body = serde_json::json!({"question": "?", "context": "over answer", "no_answer": true});
    assert_eq!(ask(&body).await.unwrap()[0].answers[0].text, "answer");
}

#[tokio::test]
async fn answers_are_whole_words_and_distinct() {
    let body = serde_json::json!({"question": "?", "context": "foxes answer", "top_k": 100});
    let results = ask(&body).await.unwrap();
    let texts: Vec<&str> = results[0]
        .answers
        .iter()
        .map(|answer| answer.text.as_str())
        .collect();
    assert_eq!(texts[0], "answer");
    let mut sorted = texts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["answer", "foxes", "foxes answer"]);
}

#[tokio::test]
async fn what_cannot_be_answered_has_its_code() {
    let long_question = "over ".repeat(9);
    for (body, code) in [
        (serde_json::json!({}), "missing_field"),
        (serde_json::json!({"question": "?"}), "missing_field"),
        (serde_json::json!({"context": "a"}), "missing_field"),
        (serde_json::json!({"items": []}), "empty_input"),
        (
            serde_json::json!({"items": [], "question": "?"}),
            "invalid_value",
        ),
        (
            serde_json::json!({"question": "", "context": "a"}),
            "empty_text",
        ),
        (
            serde_json::json!({"question": "?", "context": " "}),
            "empty_text",
        ),
        (
            serde_json::json!({"question": long_question, "context": "a a a"}),
            "question_too_long",
        ),
        (
            serde_json::json!({"question": "?", "context": "a", "top_k": 101}),
            "invalid_value",
        ),
        (
            serde_json::json!({"question": "?", "context": "a", "stride": 7}),
            "invalid_value",
        ),
    ] {
        assert_eq!(ask(&body).await.unwrap_err().code(), code, "{body}");
    }
    let error = ask(&serde_json::json!({"items": [{"question": "?", "context": ""}]}))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        ServiceError::EmptyText {
            place: "items[0].context".into()
        }
    );
}

#[test]
fn windows_leave_the_context_enough_room() {
    let count = |question, context, stride| {
        split(question, context, 384, stride).map(|windows| windows.len())
    };
    assert_eq!(count(10, 371, None), Ok(1));
    assert_eq!(count(10, 372, None), Ok(2));
    assert_eq!(
        count(380, 1, None),
        Ok(1),
        "a short context fits beside a long question"
    );
    assert_eq!(count(333, 10_000, Some(0)), Ok(10_000_usize.div_ceil(48)));
    assert_eq!(count(334, 10_000, None), Err(333));
}
