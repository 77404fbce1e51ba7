//! The same text has the same scores alone, in a list, and under load.

use serde_json::{Value, json};

use crate::harness::{Server, assert_close, default_server, small_server};

/// Texts of mixed lengths: some share a batch, some don't.
fn texts() -> Vec<String> {
    let words = "The old bridge across the river was closed last winter because its cables had rusted through".split(' ');
    let words: Vec<&str> = words.collect();
    (0..40)
        .map(|index| {
            (0..=(index * 7) % 61)
                .map(|word| words[(index + word) % words.len()])
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

fn scores(result: &Value, list: &str) -> Vec<f64> {
    let items = result[list]
        .as_array()
        .unwrap_or_else(|| panic!("no {list} in {result}"));
    items
        .iter()
        .map(|item| item["score"].as_f64().expect("a score"))
        .collect()
}

/// Requests scores of the texts one at a time, in a list, and concurrently, and compares them.
pub async fn check(server: &Server, path: &str, extra: Value, list: &str, tolerance: f64) {
    let body = |text: Value| {
        let mut body = extra.clone();
        body["text"] = text;
        body
    };
    let texts = texts();
    let mut alone = Vec::new();
    for text in &texts {
        alone.push(scores(
            &server.ask(path, &body(json!(text))).await["results"][0],
            list,
        ));
    }
    let listed = server.ask(path, &body(json!(texts))).await;
    let under_load = texts.iter().map(|text| {
        let request = server.post(path, &body(json!(text)));
        tokio::spawn(async move {
            request
                .send()
                .await
                .expect("an answer")
                .json::<Value>()
                .await
                .expect("JSON")
        })
    });
    for (index, answer) in under_load.collect::<Vec<_>>().into_iter().enumerate() {
        let answer = answer.await.expect("no panic");
        for result in [&answer["results"][0], &listed["results"][index]] {
            let found = scores(result, list);
            assert_eq!(found.len(), alone[index].len(), "{path}, text {index}");
            for (found, alone) in found.iter().zip(&alone[index]) {
                assert_close(*found, *alone, tolerance, &format!("{path}, text {index}"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn int8_scores_do_not_depend_on_the_batch() {
    let server = default_server();
    check(&server, "/discriminate", json!({}), "tokens", 1e-4).await;
    check(&server, "/classify", json!({}), "labels", 1e-4).await;
    check(
        &server,
        "/tag",
        json!({"aggregation": "none"}),
        "entities",
        1e-4,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fp32_scores_do_not_depend_on_the_batch() {
    let server = small_server();
    check(
        &server,
        "/discriminate",
        json!({"model": "discriminator-plain"}),
        "tokens",
        1e-5,
    )
    .await;
    check(
        &server,
        "/classify",
        json!({"model": "sequence-three-labels", "truncate": true}),
        "labels",
        1e-5,
    )
    .await;
}
