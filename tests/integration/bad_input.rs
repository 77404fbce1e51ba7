//! Invalid requests: each mistake gets its own code and sentence, none causes a 500, and the server goes on.

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};

use crate::harness::{Server, default_server, small_server};

/// Posts raw bytes as JSON, and checks the status, the code, and that the sentence contains these words.
async fn check_bytes(
    server: &Server,
    path: &str,
    body: impl Into<reqwest::Body>,
    status: u16,
    code: &str,
    named: &str,
) {
    let request = server
        .client
        .post(server.url(path))
        .header(CONTENT_TYPE, "application/json")
        .body(body);
    let error = server.refused(request, status, code).await;
    let sentence = error["error"].as_str().expect("a sentence");
    assert!(
        sentence.contains(named) && sentence.ends_with(['.', '?']),
        "{sentence}"
    );
    assert_eq!(
        error.as_object().map(serde_json::Map::len),
        Some(2),
        "{error}"
    );
}

async fn check(server: &Server, path: &str, body: Value, status: u16, code: &str, named: &str) {
    check_bytes(server, path, body.to_string(), status, code, named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_request_are_refused_by_kind() {
    let server = default_server();
    let text = |text: &'static str| text.as_bytes().to_vec();
    check_bytes(
        &server,
        "/discriminate",
        text(""),
        400,
        "invalid_json",
        "not valid JSON",
    )
    .await;
    check_bytes(
        &server,
        "/discriminate",
        text("{\"text\": "),
        400,
        "invalid_json",
        "not valid JSON",
    )
    .await;
    check_bytes(
        &server,
        "/discriminate",
        text("{\"text\": \"a\", \"threshold\": NaN}"),
        400,
        "invalid_json",
        "JSON",
    )
    .await;
    check_bytes(
        &server,
        "/discriminate",
        b"{\"text\": \"\xff\xfe\"}".to_vec(),
        400,
        "invalid_utf8",
        "byte 10",
    )
    .await;
    check_bytes(
        &server,
        "/discriminate",
        text("{\"text\": \"\\ud800\"}"),
        400,
        "invalid_json",
        "`text` holds a lone surrogate",
    )
    .await;
    check(
        &server,
        "/discriminate",
        json!([1]),
        400,
        "invalid_type",
        "The body",
    )
    .await;
    check(
        &server,
        "/discriminate",
        json!({"text": 5}),
        400,
        "invalid_type",
        "`text`",
    )
    .await;
    check(
        &server,
        "/discriminate",
        json!({"text": ["a", null]}),
        400,
        "invalid_type",
        "`text[1]`",
    )
    .await;
    check(
        &server,
        "/classify",
        json!({"text": [["a", "b", "c"]]}),
        400,
        "invalid_type",
        "`text[0]`",
    )
    .await;
    check(
        &server,
        "/qa",
        json!({"question": {}, "context": "b"}),
        400,
        "invalid_type",
        "`question`",
    )
    .await;
}

/// Checks several bodies on one route. Each gets 422, except those whose code says that the model is unknown.
async fn check_all(path: &str, cases: &[(Value, &str, &str)]) {
    let server = default_server();
    for (body, code, named) in cases {
        let status = if *code == "model_not_found" { 404 } else { 422 };
        check(&server, path, body.clone(), status, code, named).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn discriminate_refuses_by_name_what_it_can_not_use() {
    let cases = [
        (json!({}), "missing_field", "`text`"),
        (
            json!({"text": "a", "treshold": 0.5}),
            "unknown_field",
            "`threshold`",
        ),
        (json!({"text": []}), "empty_input", "`text`"),
        (json!({"text": vec!["a"; 257]}), "too_many_inputs", "257"),
        (
            json!({"text": "a".repeat(131_073)}),
            "text_too_long",
            "131073",
        ),
        (
            json!({"text": "a", "threshold": -0.1}),
            "invalid_value",
            "`threshold`",
        ),
        (
            json!({"text": "a", "threshold": 1.5}),
            "invalid_value",
            "`threshold`",
        ),
        (
            json!({"text": "a", "level": "letter"}),
            "invalid_value",
            "`level`",
        ),
        (
            json!({"text": "a", "offsets": "bytes"}),
            "invalid_value",
            "`offsets`",
        ),
        (
            json!({"text": "a", "model": "nobody"}),
            "model_not_found",
            "`nobody`",
        ),
        (
            json!({"text": "a", "model": "electra-mini-qa"}),
            "wrong_task",
            "Ask it for qa",
        ),
    ];
    check_all("/discriminate", &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classify_and_tag_refuse_by_name_what_they_can_not_use() {
    let cases = [
        (json!({"text": ""}), "empty_text", "`text`"),
        (
            json!({"text": ["good", " \t\n"]}),
            "empty_text",
            "`text[1]`",
        ),
        (json!({"text": "a", "top_k": 0}), "invalid_value", "`top_k`"),
        (
            json!({"text": "word ".repeat(600)}),
            "too_many_tokens",
            "602 tokens",
        ),
        (
            json!({"text": "a", "function": "tanh"}),
            "invalid_value",
            "`function`",
        ),
    ];
    check_all("/classify", &cases).await;
    let cases = [(
        json!({"text": "a", "aggregation": "mean"}),
        "invalid_value",
        "`aggregation`",
    )];
    check_all("/tag", &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qa_refuses_by_name_what_it_can_not_use() {
    let with = |field: &str, value: Value| {
        let mut body = json!({"question": "a", "context": "b"});
        body[field] = value;
        body
    };
    let cases = [
        (with("question", json!("")), "empty_text", "`question`"),
        (with("context", json!(" ")), "empty_text", "`context`"),
        (json!({"question": "a"}), "missing_field", "`context`"),
        (
            with("question", json!("a ".repeat(500))),
            "question_too_long",
            "`question`",
        ),
        (with("stride", json!(5000)), "invalid_value", "`stride`"),
        (
            with("max_answer_tokens", json!(0)),
            "invalid_value",
            "`max_answer_tokens`",
        ),
        (json!({"items": []}), "empty_input", "`items`"),
    ];
    check_all("/qa", &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_and_blank_texts_have_no_tokens_and_no_entities() {
    let server = default_server();
    for text in ["", "   ", "\n\t", "\u{200b}\u{0}"] {
        let answer = server.ask("/discriminate", &json!({"text": text})).await;
        assert_eq!(answer["results"], json!([{"tokens": []}]), "{text:?}");
        let answer = server.ask("/tag", &json!({"text": [text, "A car"]})).await;
        assert_eq!(answer["results"][0], json!({"entities": []}), "{text:?}");
        assert_ne!(answer["results"][1], json!({"entities": []}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_other_types_routes_and_methods_have_the_same_shape() {
    let server = default_server();
    let large = format!("{{\"text\": \"{}\"}}", "a".repeat(10 << 20));
    check_bytes(
        &server,
        "/discriminate",
        large,
        413,
        "body_too_large",
        "2097152 bytes",
    )
    .await;
    let typed = |content_type: &'static str| {
        server
            .client
            .post(server.url("/tag"))
            .header(CONTENT_TYPE, content_type)
            .body("{}")
    };
    for request in [
        typed("text/plain"),
        server.client.post(server.url("/tag")).body("{}"),
    ] {
        server.refused(request, 415, "unsupported_media_type").await;
    }
    server
        .refused(server.get("/nothing/here"), 404, "route_not_found")
        .await;
    server
        .refused(server.get("/models/nobody"), 404, "model_not_found")
        .await;
    server
        .refused(server.get("/qa"), 405, "method_not_allowed")
        .await;
    for (header, value) in [
        ("x-request-timeout-ms", "soon"),
        ("x-request-timeout-ms", "0"),
        ("x-request-priority", "6"),
    ] {
        server
            .refused(
                server
                    .post("/tag", &json!({"text": "a"}))
                    .header(header, value),
                422,
                "invalid_header",
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_can_not_be_kept_is_a_504() {
    let server = default_server();
    let body = json!({"text": vec!["many words that take a while to be computed ".repeat(40); 64]});
    server
        .refused(
            server
                .post("/discriminate", &body)
                .header("x-request-timeout-ms", "1"),
            504,
            "deadline_exceeded",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_goes_on_after_every_mistake() {
    let server = small_server();
    for body in [
        "",
        "[",
        "{\"text\": 1}",
        "\u{0}",
        "{\"text\": \"\"}",
        "null",
    ] {
        for path in ["/discriminate", "/classify", "/tag", "/qa"] {
            let request = server
                .client
                .post(server.url(path))
                .header(CONTENT_TYPE, "application/json")
                .body(body);
            let (status, _) = server.send(request).await;
            assert!(!status.is_server_error(), "{path} {body:?}: {status}");
        }
    }
    server
        .ask("/discriminate", &json!({"text": "still here"}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_429_with_retry_after() {
    let mut config = crate::harness::config(&crate::harness::default_models());
    config.queue_capacity = std::num::NonZeroUsize::MIN;
    config.workers = std::num::NonZeroUsize::MIN;
    let server = Server::start(config).await;
    let body = json!({"text": "a sentence that keeps the only worker busy ".repeat(40)});
    let requests = (0..24).map(|_| {
        let request = server.post("/discriminate", &body);
        tokio::spawn(async move {
            let response = request.send().await.expect("an answer");
            (
                response.status().as_u16(),
                response.headers().get(RETRY_AFTER).cloned(),
            )
        })
    });
    let mut refused = 0;
    for request in requests.collect::<Vec<_>>() {
        match request.await.expect("no panic") {
            (200, _) => {}
            (429, retry_after) => {
                let seconds: u64 = retry_after
                    .expect("Retry-After")
                    .to_str()
                    .expect("ASCII")
                    .parse()
                    .expect("seconds");
                assert!(seconds >= 1);
                refused += 1;
            }
            (status, _) => panic!("{status}"),
        }
    }
    assert!(refused > 0);
    let metrics = server.metrics().await;
    let counts = metrics.lines().filter_map(|line| {
        let series = line.strip_prefix("electra_requests_rejected_total{")?;
        series.rsplit_once(' ')?.1.parse::<u32>().ok()
    });
    assert_eq!(counts.sum::<u32>(), refused, "{metrics}");
    server.ended().await.expect("a clean end");
}
