//! Classification of texts and pairs, with the real queue and the fake model.

use super::*;
use crate::service::json;
use crate::service::testing::{Fixture, MAX_TOKENS, context};

async fn ask(body: &serde_json::Value) -> Result<serde_json::Value, ServiceError> {
    let fixture = Fixture::new(Task::Classify);
    let request: ClassifyRequest = json::parse(body.to_string().as_bytes()).unwrap();
    let answer = fixture.service.answer(request, &context()).await?;
    Ok(serde_json::to_value(answer.output.results).unwrap())
}

#[tokio::test]
async fn labels_come_best_first() {
    let results = ask(&serde_json::json!({"text": ["good fox", "fox"], "function": "none"}))
        .await
        .unwrap();
    assert_eq!(
        results[0]["labels"][0],
        serde_json::json!({"label": "good", "score": 1.0})
    );
    assert_eq!(
        results[1]["labels"][0],
        serde_json::json!({"label": "bad", "score": 0.5})
    );
    assert!(results[0].get("truncated").is_none());
    let one = ask(&serde_json::json!({"text": "good", "top_k": 1}))
        .await
        .unwrap();
    assert_eq!(one[0]["labels"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pairs_are_one_input() {
    let results =
        ask(&serde_json::json!({"text": [["good", "good"], ["fox", "fox"]], "function": "none"}))
            .await
            .unwrap();
    assert_eq!(results[0]["labels"][0]["score"], 2.0);
    assert_eq!(results.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn too_long_is_refused_or_cut_and_said_so() {
    // One token above the limit, counting [CLS] and [SEP].
    let long = "fox ".repeat(MAX_TOKENS - 2) + "good";
    let error = ask(&serde_json::json!({"text": ["fox", long]}))
        .await
        .unwrap_err();
    let limit = MAX_TOKENS;
    assert_eq!(
        error,
        ServiceError::TooManyTokens {
            place: "text[1]".into(),
            length: limit + 1,
            limit
        }
    );
    let cut =
        ask(&serde_json::json!({"text": ["good", long], "truncate": true, "function": "none"}))
            .await
            .unwrap();
    assert!(cut[0].get("truncated").is_none());
    assert_eq!(cut[1]["truncated"], true);
    assert_eq!(
        cut[1]["labels"][0]["label"], "bad",
        "the last word, good, is cut off"
    );
}

#[tokio::test]
async fn a_text_without_tokens_is_refused_with_its_place() {
    for (text, place) in [
        (serde_json::json!(""), "text"),
        (serde_json::json!(["fox", " \n"]), "text[1]"),
        (serde_json::json!([["fox", ""]]), "text[0][1]"),
    ] {
        let error = ask(&serde_json::json!({"text": text})).await.unwrap_err();
        assert_eq!(
            error,
            ServiceError::EmptyText {
                place: place.to_owned()
            }
        );
    }
}

#[tokio::test]
async fn a_text_of_a_pair_is_named_as_it_was_sent() {
    let fixture = Fixture::new(Task::Classify);
    let refused = async |second: &str| {
        let pair = |second: &str| ClassifyInput::Pair("fox".to_owned(), second.to_owned());
        let request = ClassifyRequest {
            text: Inputs::many(vec![pair("fox"), pair(second)]).by_part(),
            ..ClassifyRequest::default()
        };
        let answered = fixture.service.answer(request, &context()).await;
        answered.unwrap_err().to_string()
    };
    for (second, start) in [
        ("", "`text_pair[1]` "),
        (&"fox".repeat(100_000), "`text_pair[1]` "),
        (
            &"fox ".repeat(MAX_TOKENS),
            "`text[1] with text_pair[1]` has",
        ),
    ] {
        let error = refused(second).await;
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn pairs_are_cut_as_transformers_cuts_them() {
    for ((first, second, room), expected) in [
        ((3, 4, 10), (3, 4)),
        ((2, 20, 10), (2, 8)),
        ((20, 2, 10), (8, 2)),
        ((7, 9, 10), (5, 5)),
        ((9, 7, 9), (5, 4)),
        ((7, 9, 9), (4, 5)),
        ((20, 20, 9), (4, 5)),
    ] {
        assert_eq!(
            longest_first(first, second, room),
            expected,
            "{first} {second} {room}"
        );
    }
}
