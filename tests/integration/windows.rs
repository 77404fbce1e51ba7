//! Texts longer than the model's maximum: windows, truncation on request, and refusals.

use serde_json::json;

use crate::harness::{assert_close, default_server};

const SENTENCE: &str = "The committee met in the old town hall and talked about the new bridge. ";

#[tokio::test(flavor = "multi_thread")]
async fn every_token_of_a_long_text_is_scored_once() {
    let server = default_server();
    let text = SENTENCE.repeat(100);
    let answer = server.ask("/discriminate", &json!({"text": text})).await;
    let tokens = answer["results"][0]["tokens"].as_array().expect("tokens");
    assert_eq!(tokens.len(), 1500);
    let mut previous = 0;
    for token in tokens {
        let (start, end) = (
            token["start"].as_u64().expect("a start"),
            token["end"].as_u64().expect("an end"),
        );
        assert!(start >= previous && end > start);
        previous = end;
    }
    let words = server
        .ask("/tag", &json!({"text": text, "aggregation": "none"}))
        .await;
    let last = words["results"][0]["entities"]
        .as_array()
        .expect("entities")
        .last()
        .cloned()
        .expect("an entity");
    assert!(
        last["end"].as_u64().expect("an end") > text.len() as u64 - 20,
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_scored_where_it_has_most_context() {
    let server = default_server();
    // 510 tokens fit, and a text of 520 needs two windows. Its first half is scored in the first window, as if the text
    // ended there.
    let words: Vec<&str> = SENTENCE.split_whitespace().cycle().take(540).collect();
    let long = words.join(" ");
    let scores = |text: String| {
        let server = &server;
        async move {
            let answer = server.ask("/discriminate", &json!({"text": text})).await;
            let tokens = answer["results"][0]["tokens"]
                .as_array()
                .expect("tokens")
                .clone();
            tokens
                .iter()
                .map(|token| token["score"].as_f64().expect("a score"))
                .collect::<Vec<_>>()
        }
    };
    let long = scores(long).await;
    let start = SENTENCE
        .split_whitespace()
        .cycle()
        .take(540)
        .collect::<Vec<_>>()
        .join(" ");
    let answer = server.ask("/discriminate", &json!({"text": start})).await;
    let tokens = answer["results"][0]["tokens"].as_array().expect("tokens");
    let end_of_first = tokens[509]["end"]
        .as_u64()
        .and_then(|end| usize::try_from(end).ok())
        .expect("an end");
    let first = scores(start[..end_of_first].to_owned()).await;
    assert_eq!(first.len(), 510);
    for token in 0..250 {
        assert_close(long[token], first[token], 1e-4, &format!("token {token}"));
    }
    // At the cut, the long text's score comes from the other window, which contains the text after it.
    let changed = (440..510)
        .filter(|token| (long[*token] - first[*token]).abs() > 1e-4)
        .count();
    assert!(changed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_is_classified_only_with_leave_to_truncate() {
    let server = default_server();
    let text = "good ".repeat(600);
    let error = server
        .refused(
            server.post("/classify", &json!({"text": text})),
            422,
            "too_many_tokens",
        )
        .await;
    let sentence = error["error"].as_str().expect("a sentence");
    assert!(
        sentence.contains("602") && sentence.contains("512") && sentence.contains("truncate"),
        "{sentence}"
    );
    let answer = server
        .ask(
            "/classify",
            &json!({"text": [text, "good"], "truncate": true}),
        )
        .await;
    assert_eq!(answer["results"][0]["truncated"], true);
    assert_eq!(answer["results"][1].get("truncated"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_found_anywhere_in_a_long_context() {
    let server = default_server();
    let fact = "The password of the vault is silverfish. ";
    for before in [0, 30, 120] {
        let context = [
            &SENTENCE.repeat(before),
            fact,
            &SENTENCE.repeat(120 - before),
        ]
        .concat();
        let answer = server
            .ask(
                "/qa",
                &json!({"question": "What is the password of the vault?", "context": context}),
            )
            .await;
        let best = &answer["results"][0]["answers"][0];
        assert!(
            best["text"]
                .as_str()
                .expect("a text")
                .contains("silverfish"),
            "{before} before: {best}"
        );
        let start = usize::try_from(best["start"].as_u64().expect("a start")).expect("small");
        assert!(context[start..].starts_with(best["text"].as_str().expect("a text")));
    }
}
