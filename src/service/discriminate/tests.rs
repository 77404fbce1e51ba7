//! Tests of [`super`].

use super::*;
use crate::limits::Limits;
use crate::service::json;
use crate::service::testing::{Fixture, MAX_TOKENS, context};

async fn ask(fixture: &Fixture, body: &str) -> serde_json::Value {
    let request: DiscriminateRequest = json::parse(body.as_bytes()).unwrap();
    let answer = fixture.service.answer(request, &context()).await.unwrap();
    serde_json::to_value(answer.output.results).unwrap()
}

#[tokio::test]
async fn tokens_have_their_place_score_and_verdict() {
    let fixture = Fixture::new(Task::Discriminate);
    let results = ask(&fixture, r#"{"text": "the fake foxes"}"#).await;
    let tokens = results[0]["tokens"].as_array().unwrap();
    let facts: Vec<_> = tokens
        .iter()
        .map(|token| {
            (
                token["token"].as_str().unwrap(),
                token["start"].as_u64().unwrap(),
                token["fake"] == true,
            )
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("the", 0, false),
            ("fake", 4, true),
            ("fox", 9, false),
            ("##es", 12, false)
        ]
    );
    assert!((tokens[1]["score"].as_f64().unwrap() - 0.982_013_8).abs() < 1e-6);
    assert_eq!(tokens[3]["end"], 14);
}

#[tokio::test]
async fn words_join_their_tokens_and_offsets_follow_the_encoding() {
    let fixture = Fixture::new(Task::Discriminate);
    let words = |encoding: &str| {
        format!(r#"{{"text": "é foxes 東", "level": "word", "offsets": "{encoding}"}}"#)
    };
    for (encoding, expected) in [("codepoint", [2, 7]), ("utf8", [3, 8]), ("utf16", [2, 7])] {
        let results = ask(&fixture, &words(encoding)).await;
        let word = &results[0]["words"][1];
        assert_eq!(word["word"], "foxes");
        assert_eq!([&word["start"], &word["end"]], expected, "{encoding}");
    }
}

#[tokio::test]
async fn the_threshold_decides_what_is_fake() {
    let fixture = Fixture::new(Task::Discriminate);
    let results = ask(&fixture, r#"{"text": "fake", "threshold": 0.99}"#).await;
    assert_eq!(results[0]["tokens"][0]["fake"], false);
    let results = ask(&fixture, r#"{"text": "the", "threshold": 0}"#).await;
    assert_eq!(results[0]["tokens"][0]["fake"], true);
}

#[tokio::test]
async fn empty_texts_have_no_tokens_and_run_nothing() {
    let fixture = Fixture::new(Task::Discriminate);
    let results = ask(&fixture, "{\"text\": [\"\", \" \\t\\n\", \"fake\"]}").await;
    let counts: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["tokens"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [0, 0, 1]);
    assert_eq!(
        fixture.model.runs.load(std::sync::atomic::Ordering::SeqCst),
        1
    );
}

#[tokio::test]
async fn a_long_text_is_scored_whole_and_in_order() {
    let fixture = Fixture::new(Task::Discriminate);
    let length = MAX_TOKENS * 5 + 3;
    let text: Vec<&str> = (0..length)
        .map(|index| if index % 7 == 3 { "fake" } else { "fox" })
        .collect();
    let results = ask(
        &fixture,
        &serde_json::json!({"text": text.join(" ")}).to_string(),
    )
    .await;
    let tokens = results[0]["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), length);
    for (index, token) in tokens.iter().enumerate() {
        assert_eq!(token["fake"], index % 7 == 3, "token {index}");
    }
    assert!(fixture.model.runs.load(std::sync::atomic::Ordering::SeqCst) > 5);
}

#[tokio::test]
async fn what_cannot_be_answered_has_its_code() {
    let limits = Limits {
        max_inputs: 2,
        max_text_bytes: 8,
        ..Limits::default()
    };
    let fixture = Fixture::with(Task::Discriminate, limits, 64);
    for (body, code) in [
        (r#"{"text": []}"#, "empty_input"),
        (r#"{"text": ["a", "a", "a"]}"#, "too_many_inputs"),
        (r#"{"text": ["a", "too long for it"]}"#, "text_too_long"),
        (r#"{"text": "a", "model": "other"}"#, "model_not_found"),
    ] {
        let request: DiscriminateRequest = json::parse(body.as_bytes()).unwrap();
        let error = fixture
            .service
            .answer(request, &context())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{body}");
    }
}
