//! The answers of each route, with the default models.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{assert_close, default_server, small_server};

fn words<'a>(answer: &'a Value, key: &str) -> Vec<&'a str> {
    answer
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item[key].as_str().expect("a string"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replaced_word_of_the_example_is_found() {
    let server = default_server();
    let answer = server
        .ask(
            "/discriminate",
            &json!({"text": "The quick brown fox fake over the lazy dog"}),
        )
        .await;
    assert_eq!(answer["model"], "electra-mini-discriminator");
    let tokens = answer["results"][0]["tokens"].as_array().expect("tokens");
    let fake: Vec<bool> = tokens
        .iter()
        .map(|token| token["fake"].as_bool().expect("a decision"))
        .collect();
    assert_eq!(
        fake,
        [false, false, false, false, true, false, false, false, false]
    );
    assert_eq!(tokens[4]["token"], "fake");
    assert_eq!(
        (&tokens[4]["start"], &tokens[4]["end"]),
        (&json!(20), &json!(24))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_has_the_highest_score_of_its_tokens() {
    let server = default_server();
    let text = "An unbelievably tokenizable sentence";
    let tokens =
        server.ask("/discriminate", &json!({"text": text})).await["results"][0]["tokens"].clone();
    let answer = server
        .ask(
            "/discriminate",
            &json!({"text": text, "level": "word", "threshold": 0.0}),
        )
        .await;
    let found = &answer["results"][0]["words"];
    assert_eq!(words(found, "word"), text.split(' ').collect::<Vec<_>>());
    for word in found.as_array().expect("words") {
        let inside = tokens.as_array().expect("tokens").iter().filter(|token| {
            token["start"].as_u64() >= word["start"].as_u64()
                && token["end"].as_u64() <= word["end"].as_u64()
        });
        let highest = inside
            .map(|token| token["score"].as_f64().expect("a score"))
            .fold(0.0, f64::max);
        assert_close(
            word["score"].as_f64().expect("a score"),
            highest,
            1e-6,
            "the word's score",
        );
        assert_eq!(word["fake"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_classified_best_label_first() {
    let server = default_server();
    let texts = [
        "A wonderful, moving film.",
        "Dull, clumsy and far too long.",
    ];
    let answer = server.ask("/classify", &json!({"text": texts})).await;
    let results = answer["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    assert_eq!(
        words(&results[0]["labels"], "label"),
        ["positive", "negative"]
    );
    assert_eq!(
        words(&results[1]["labels"], "label"),
        ["negative", "positive"]
    );
    for result in results {
        let sum: f64 = result["labels"]
            .as_array()
            .expect("labels")
            .iter()
            .filter_map(|label| label["score"].as_f64())
            .sum();
        assert_close(sum, 1.0, 1e-5, "the sum of the scores");
        assert_eq!(result.get("truncated"), None);
    }
    let best = server
        .ask(
            "/classify",
            &json!({"text": texts[0], "top_k": 1, "function": "none"}),
        )
        .await;
    let labels = best["results"][0]["labels"]
        .as_array()
        .expect("labels")
        .clone();
    assert_eq!(labels.len(), 1);
    assert!(
        labels[0]["score"].as_f64().expect("a logit") > 1.0,
        "{labels:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_tagged() {
    let server = default_server();
    let body = json!({"text": "The old man bought a new car in London.", "aggregation": "first"});
    let answer = server.ask("/tag", &body).await;
    let entities = &answer["results"][0]["entities"];
    assert_eq!(
        words(entities, "text"),
        ["The old man", "bought", "a new car", "in", "London"]
    );
    assert_eq!(words(entities, "label"), ["NP", "VP", "NP", "PP", "NP"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_and_no_answer_can_win() {
    let server = default_server();
    let context = "The train to Geneva leaves from platform 4 at noon.";
    let answer = server
        .ask(
            "/qa",
            &json!({"question": "What platform does the train leave from?", "context": context}),
        )
        .await;
    let best = &answer["results"][0]["answers"][0];
    assert!(
        best["text"].as_str().expect("a text").contains('4'),
        "{answer}"
    );
    let items = json!({"items": [
        {"question": "When does the train leave?", "context": context},
        {"question": "Who painted the Mona Lisa?", "context": "Bread is made of flour, water and salt."},
    ], "no_answer": true});
    let answer = server.ask("/qa", &items).await;
    assert!(
        answer["results"][0]["answers"][0]["text"]
            .as_str()
            .expect("a text")
            .contains("noon"),
        "{answer}"
    );
    assert_eq!(answer["results"][1]["answers"], json!([]), "{answer}");
    assert!(
        answer["results"][1]["no_answer_score"]
            .as_f64()
            .expect("a score")
            > 0.5
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_of_the_task_can_be_named() {
    let server = small_server();
    for model in ["discriminator-plain", "discriminator-cased"] {
        let answer = server
            .ask("/discriminate", &json!({"text": "ab", "model": model}))
            .await;
        assert_eq!(answer["model"], model);
    }
    let pair = json!({"text": [["the cat", "a dog"]], "model": "sequence-cross-encoder"});
    let score = server.ask("/classify", &pair).await["results"][0]["labels"][0]["score"]
        .as_f64()
        .expect("a score");
    assert!((0.0..=1.0).contains(&score));
    server
        .refused(
            server.post(
                "/qa",
                &json!({"question": "a", "context": "b", "model": "token-bio"}),
            ),
            422,
            "wrong_task",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_health_and_metrics_tell_what_is_there() {
    let server = default_server();
    let (_, models) = server.send(server.get("/models")).await;
    let models = models["models"].as_array().expect("models").clone();
    assert_eq!(models.len(), 4);
    for model in &models {
        assert_eq!(
            (&model["state"], &model["precision"], &model["layout"]),
            (&json!("ready"), &json!("int8"), &json!("packed"))
        );
        assert_eq!(
            (&model["device"], &model["max_tokens"]),
            (&json!("cpu"), &json!(512))
        );
        let name = model["name"].as_str().expect("a name");
        let (status, one) = server.send(server.get(&format!("/models/{name}"))).await;
        assert_eq!((status, &one), (StatusCode::OK, model));
    }
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(
            server.get(path).send().await.expect("an answer").status(),
            StatusCode::OK,
            "{path}"
        );
    }
    server
        .ask("/discriminate", &json!({"text": ["one", "two words"]}))
        .await;
    let metrics = server.metrics().await;
    for family in [
        "electra_requests_total{",
        "electra_request_duration_seconds_bucket{",
        "electra_queue_depth{",
        "electra_queue_wait_seconds_bucket{",
        "electra_batch_sequences_bucket{",
        "electra_batch_tokens_bucket{",
        "electra_inference_duration_seconds_bucket{",
        "electra_tokens_total{",
        "electra_model_ready{",
    ] {
        assert!(metrics.contains(family), "{family} is not in:\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_the_request_id_and_where_the_time_went() {
    let server = default_server();
    let request = server
        .post("/discriminate", &json!({"text": "hello"}))
        .header("x-request-id", "my-id-7");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.headers()["x-request-id"], "my-id-7");
    let timing = response.headers()["server-timing"].to_str().expect("ASCII");
    for phase in ["tokenize", "queue", "inference"] {
        assert!(timing.contains(&format!("{phase};dur=")), "{timing}");
    }
    let made = server
        .post("/discriminate", &json!({"text": "hello"}))
        .send()
        .await
        .expect("an answer");
    assert!(made.headers()["x-request-id"].len() >= 16);
}
