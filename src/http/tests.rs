//! Tests of the routes with a fake model, without a socket.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};
use tokio_stream::StreamExt;
use tower::ServiceExt;

use super::{HttpState, router};
use crate::access::{AccessOptions, Door, Guard};
use crate::client::Client;
use crate::inflight::InflightBytes;
use crate::limits::{Limits, Timeouts};
use crate::service::testing::{EXECUTOR_SLOTS, Fault, Fixture, fail, loading_service};
use crate::stage::Stage;
use crate::task::Task;
use crate::telemetry::metrics::Metrics;
use crate::testing::{HeldClock, eventually, soon};

/// A response, read to its end.
struct Read {
    status: u16,
    headers: HeaderMap,
    body: Value,
    text: String,
}

fn state(fixture: &Fixture) -> HttpState {
    HttpState::new(
        fixture.service.clone(),
        guard_with_control(),
        fixture.metrics.clone(),
        Timeouts::default(),
        InflightBytes::new(64 << 20),
    )
}

/// Loading and unloading are on, and requests without a connection are this machine's.
fn guard_with_control() -> Guard {
    let options = AccessOptions {
        model_control: true,
        is_administration_apart: false,
        ..AccessOptions::default()
    };
    Guard::new(options, None, Metrics::new("test")).unwrap()
}

async fn send(state: &HttpState, request: Request<Body>) -> Read {
    let response = router::router(state.clone(), Door::Public)
        .oneshot(request)
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Read {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
        text,
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

fn with(mut request: Request<Body>, header: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(header, value.parse().unwrap());
    request
}

/// Sends a request, and checks that it is refused with this status and code.
async fn refused(state: &HttpState, request: Request<Body>, status: u16, code: &str) -> Read {
    let read = send(state, request).await;
    assert_eq!(
        (read.status, read.body["code"].as_str()),
        (status, Some(code)),
        "{}",
        read.text
    );
    assert!(
        read.body["error"]
            .as_str()
            .is_some_and(|sentence| sentence.ends_with(['.', '?'])),
        "{}",
        read.text
    );
    assert_eq!(read.headers["content-type"], "application/json");
    read
}

#[tokio::test]
async fn a_request_is_answered_with_model_results_and_headers() {
    let fixture = Fixture::new(Task::Discriminate);
    let state = state(&fixture);
    let request = with(
        post("/discriminate", r#"{"text": "the fake"}"#),
        "x-request-id",
        "mine",
    );
    let read = send(&state, request).await;
    assert_eq!(read.status, 200, "{}", read.text);
    assert_eq!(read.body["model"], "model");
    assert_eq!(read.body["results"][0]["tokens"][1]["fake"], true);
    assert_eq!(read.headers["x-request-id"], "mine");
    let timing = read.headers["server-timing"].to_str().unwrap();
    assert!(
        ["tokenize;dur=", "queue;dur=", "inference;dur="]
            .iter()
            .all(|part| timing.contains(part)),
        "{timing}"
    );
}

#[tokio::test]
async fn every_task_has_its_route() {
    for (task, path, body) in [
        (Task::Classify, "/classify", json!({"text": "good"})),
        (Task::Tag, "/tag", json!({"text": "fox"})),
        (
            Task::Qa,
            "/qa",
            json!({"question": "?", "context": "answer"}),
        ),
    ] {
        let fixture = Fixture::new(task);
        let read = send(&state(&fixture), post(path, body.to_string())).await;
        assert_eq!(
            (read.status, read.body["results"].as_array().map(Vec::len)),
            (200, Some(1)),
            "{}",
            read.text
        );
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_each_in_its_way() {
    let fixture = Fixture::with(
        Task::Tag,
        Limits {
            max_body_bytes: 64,
            ..Limits::default()
        },
        64,
    );
    let state = state(&fixture);
    refused(&state, post("/tag", "{"), 400, "invalid_json").await;
    refused(
        &state,
        post("/tag", &b"{\"text\": \"\xff\"}"[..]),
        400,
        "invalid_utf8",
    )
    .await;
    refused(&state, post("/tag", "{\"text\": 1}"), 400, "invalid_type").await;
    refused(&state, post("/tag", "{}"), 422, "missing_field").await;
    refused(
        &state,
        post("/tag", "{\"text\": \"a\", \"txt\": 1}"),
        422,
        "unknown_field",
    )
    .await;
    refused(&state, post("/tag", "x".repeat(65)), 413, "body_too_large").await;
    let declared = with(post("/tag", Body::empty()), "content-length", "99999999999");
    refused(&state, declared, 413, "body_too_large").await;
    let form = with(
        post("/tag", "{}"),
        "content-type",
        "application/x-www-form-urlencoded",
    );
    refused(&state, form, 415, "unsupported_media_type").await;
    refused(
        &state,
        Request::post("/tag").body("{}".into()).unwrap(),
        415,
        "unsupported_media_type",
    )
    .await;
    let zipped = with(post("/tag", "{}"), "content-encoding", "br");
    refused(&state, zipped, 415, "unsupported_media_type").await;
    let charset = with(
        post("/tag", "{\"text\": \"a\"}"),
        "content-type",
        "application/json; charset=utf-8",
    );
    assert_eq!(send(&state, charset).await.status, 200);
}

#[tokio::test]
async fn what_the_router_refuses_has_the_same_shape() {
    let fixture = Fixture::new(Task::Tag);
    let state = state(&fixture);
    for (path, words) in [
        ("/nothing/here", "GET /openapi.json describes all routes"),
        ("/discrimnate", "Did you mean POST /discriminate?"),
        ("/health/redy", "Did you mean GET /health/ready?"),
    ] {
        let read = refused(&state, get(path), 404, "route_not_found").await;
        assert!(read.text.contains(words), "{}", read.text);
    }
    let read = refused(&state, get("/tag"), 405, "method_not_allowed").await;
    assert_eq!(read.headers["allow"], "POST");
    refused(&state, get("/models/none"), 404, "model_not_found").await;
    refused(&state, get("/models/%ff"), 404, "model_not_found").await;
    refused(
        &state,
        post("/qa", r#"{"question": "?", "context": "a"}"#),
        404,
        "model_not_found",
    )
    .await;
    let other_task = r#"{"question": "?", "context": "a", "model": "model"}"#;
    refused(&state, post("/qa", other_task), 422, "wrong_task").await;
    let header = with(post("/tag", r#"{"text": "a"}"#), "x-request-priority", "9");
    refused(&state, header, 422, "invalid_header").await;
}

#[tokio::test]
async fn models_are_listed() {
    let fixture = Fixture::new(Task::Tag);
    let state = state(&fixture);
    let list = send(&state, get("/models")).await;
    let one = send(&state, get("/models/model")).await;
    assert_eq!(list.body["models"][0], one.body);
    assert_eq!(one.body["labels"], json!(["O", "B-X", "I-X"]));
}

#[tokio::test]
async fn health_says_why_it_is_not_ready() {
    let fixture = Fixture::new(Task::Tag);
    let service = loading_service(&["a"]);
    let state = HttpState {
        service: service.clone(),
        ..state(&fixture)
    };
    assert_eq!(send(&state, get("/health/live")).await.status, 200);
    let read = refused(&state, get("/health/ready"), 503, "not_ready").await;
    assert!(read.headers.contains_key("retry-after"));
    let named = r#"{"text": "a", "model": "a"}"#;
    refused(&state, post("/tag", named), 503, "not_ready").await;
    fail(&service, "a", "It is broken.");
    refused(&state, get("/health"), 503, "model_unavailable").await;
    refused(&state, post("/tag", named), 503, "model_unavailable").await;
    assert_eq!(send(&state, get("/health/live")).await.status, 200);
}

#[tokio::test]
async fn a_stopping_server_refuses_new_requests() {
    let fixture = Fixture::new(Task::Tag);
    let state = state(&fixture);
    assert_eq!(send(&state, get("/health/ready")).await.status, 200);
    fixture.service.enter(Stage::Draining);
    let read = refused(&state, post("/tag", r#"{"text": "a"}"#), 503, "draining").await;
    assert!(read.headers.contains_key("retry-after"));
    refused(&state, get("/health/ready"), 503, "draining").await;
}

#[tokio::test]
async fn a_passed_deadline_is_504_and_runs_nothing() {
    let fixture = Fixture::new(Task::Tag);
    let state = state(&fixture);
    fixture.model.shut();
    let held = {
        let state = state.clone();
        tokio::spawn(async move { send(&state, post("/tag", r#"{"text": "a"}"#)).await.status })
    };
    fixture.model.until_begun(1).await;
    let hurried = with(
        post("/tag", r#"{"text": "fox"}"#),
        "x-request-timeout-ms",
        "20",
    );
    refused(&state, hurried, 504, "deadline_exceeded").await;
    fixture.model.open();
    assert_eq!(held.await.unwrap(), 200);
    assert_eq!(
        send(&state, post("/tag", r#"{"text": "a"}"#)).await.status,
        200
    );
    assert_eq!(
        fixture.model.runs.load(Ordering::SeqCst),
        2,
        "the expired request was run"
    );
}

/// As long as the executor's slots are taken, a large body can't be parsed: a route that parsed it on the connection's thread
/// would refuse it as invalid JSON.
#[tokio::test(flavor = "multi_thread")]
async fn no_route_parses_a_large_body_on_a_connections_thread() {
    let fixture = Fixture::new(Task::Tag);
    let state = state(&fixture);
    let (gate, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let (begun, mut running) = tokio::sync::mpsc::unbounded_channel();
    let mut holders = Vec::new();
    for _ in 0..EXECUTOR_SLOTS {
        let (service, held, begun) = (fixture.service.clone(), Arc::clone(&held), begun.clone());
        let wait_for_gate = move || {
            begun.send(()).unwrap();
            // Ends once the gate is dropped.
            held.lock().unwrap().recv().unwrap_err();
        };
        let far = Instant::now() + Duration::from_hours(1);
        holders.push(tokio::spawn(async move {
            service
                .executor()
                .run(Client::Local, Duration::MAX, far, wait_for_gate)
                .await
        }));
    }
    for _ in 0..EXECUTOR_SLOTS {
        soon("a held slot", running.recv()).await;
    }
    let large = format!("{{\"text\": \"{}", "a".repeat(100_000));
    let posted: Vec<_> = super::routes::routes()
        .into_iter()
        .filter(|route| route.method == "POST")
        .map(|route| {
            route
                .path
                .replace("{name}", "model")
                .replace("{version}", "1")
        })
        .collect();
    assert!(posted.len() > 8, "{posted:?}");
    for path in posted {
        let request = with(post(&path, large.clone()), "x-request-timeout-ms", "20");
        let read = send(&state, request).await;
        assert_eq!(read.status, 504, "{path}: {}", read.text);
    }
    drop(gate);
    for holder in holders {
        soon("a slot that is let go", holder)
            .await
            .unwrap()
            .unwrap();
    }
    refused(&state, post("/tag", large), 400, "invalid_json").await;
}

#[tokio::test(start_paused = true)]
async fn tensors_may_ask_for_more_than_the_usual_time() {
    let _clock = HeldClock::new();
    let fixture = Fixture::new(Task::Tag);
    let mut state = state(&fixture);
    state.timeouts.request = Duration::from_millis(20);
    fixture.model.shut();
    let patient = {
        let state = state.clone();
        let text = r#"{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}"#;
        let body = format!(r#"{{"inputs": [{text}], "parameters": {{"timeout": 60000000}}}}"#);
        tokio::spawn(async move { send(&state, post("/v2/models/model/infer", body)).await })
    };
    fixture.model.until_begun(1).await;
    let usual = {
        let state = state.clone();
        tokio::spawn(async move {
            let usual = post("/tag", r#"{"text": "fox"}"#);
            refused(&state, usual, 504, "deadline_exceeded").await
        })
    };
    fixture.until_queued(1).await;
    // Both requests have now used up the default timeout.
    advance(state.timeouts.request).await;
    soon("the usual request is answered", usual).await.unwrap();
    fixture.model.open();
    let patient = patient.await.unwrap();
    assert_eq!(patient.status, 200, "{}", patient.text);
}

#[tokio::test]
async fn a_full_queue_is_429_with_retry_after() {
    let fixture = Fixture::with(Task::Tag, Limits::default(), 1);
    let state = state(&fixture);
    fixture.model.shut();
    let mut waiting = Vec::new();
    // One request runs and one waits, so a third finds the queue full.
    for _ in 0..3 {
        let state = state.clone();
        waiting.push(tokio::spawn(async move {
            send(&state, post("/tag", r#"{"text": "a"}"#)).await
        }));
    }
    eventually("a request is refused", async || {
        waiting.iter().any(JoinHandle::is_finished)
    })
    .await;
    let refused = waiting.iter().position(JoinHandle::is_finished);
    let refused = waiting.remove(refused.unwrap()).await.unwrap();
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (429, Some("queue_full")),
        "{}",
        refused.text
    );
    assert!(
        refused.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    fixture.model.open();
}

#[tokio::test]
async fn a_client_that_has_gone_is_not_computed_for() {
    let fixture = Fixture::new(Task::Tag);
    let state = Arc::new(state(&fixture));
    fixture.model.shut();
    let first = {
        let state = Arc::clone(&state);
        tokio::spawn(async move { send(&state, post("/tag", r#"{"text": "a"}"#)).await.status })
    };
    fixture.model.until_begun(1).await;
    let gone = {
        let state = Arc::clone(&state);
        let request = post("/tag", r#"{"text": ["fox", "fox", "fox"]}"#);
        tokio::spawn(async move { send(&state, request).await.status })
    };
    fixture.until_queued(3).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    fixture.model.open();
    assert_eq!(first.await.unwrap(), 200);
    // This request would have run after the abandoned ones.
    assert_eq!(
        send(&state, post("/tag", r#"{"text": "a"}"#)).await.status,
        200
    );
    assert_eq!(fixture.model.runs.load(Ordering::SeqCst), 2);
    let metrics = send(&state, get("/metrics")).await.text;
    assert!(metrics.contains("code=\"499\""), "{metrics}");
}

#[tokio::test]
async fn requests_are_counted_by_route_model_and_status() {
    let fixture = Fixture::new(Task::Tag);
    let state = state(&fixture);
    send(&state, post("/tag", r#"{"text": "a"}"#)).await;
    send(&state, post("/tag", r#"{"text": []}"#)).await;
    send(&state, get("/made/up/1")).await;
    send(&state, get("/made/up/2")).await;
    let read = send(&state, get("/metrics")).await;
    assert!(
        read.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    for line in [
        r#"electra_requests_total{route="/tag",model="model",code="200"} 1"#,
        r#"electra_requests_total{route="/tag",model="model",code="422"} 1"#,
        r#"electra_requests_total{route="unmatched",model="",code="404"} 2"#,
    ] {
        assert!(read.text.contains(line), "{line} is not in\n{}", read.text);
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_that_says_nothing() {
    let panics = axum::Router::new()
        .route(
            "/",
            axum::routing::get(|| async { panic!("secret") as StatusCode }),
        )
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(
            router::panicked,
        ));
    let response = panics.oneshot(get("/")).await.unwrap();
    assert_eq!(response.status(), 500);
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("secret"));
}

#[tokio::test]
async fn a_batch_that_fails_fails_its_own_requests_and_is_counted() {
    for fault in [Fault::Panic, Fault::Error] {
        let fixture = Fixture::new(Task::Tag);
        let state = Arc::new(state(&fixture));
        let ask = |text: &str| {
            let state = Arc::clone(&state);
            let request = post("/tag", json!({"text": text}).to_string());
            tokio::spawn(async move { send(&state, request).await })
        };
        fixture.model.shut();
        let running = ask("fox");
        fixture.model.until_begun(1).await;
        let together = [ask("a"), ask("the"), ask("over")];
        fixture.until_queued(3).await;
        fixture.model.fail_next(fault);
        fixture.model.open();
        for failed in together {
            let read = failed.await.unwrap();
            assert_eq!(
                (read.status, read.body["code"].as_str()),
                (500, Some("internal"))
            );
            assert!(!read.text.contains("told to"), "{}", read.text);
        }
        assert_eq!(running.await.unwrap().status, 200);
        assert_eq!(ask("fox").await.unwrap().status, 200);
        let metrics = send(&state, get("/metrics")).await.text;
        for (code, count) in [(500, 3), (200, 2)] {
            let labels = format!("{{route=\"/tag\",model=\"model\",code=\"{code}\"}}");
            let line = format!("electra_requests_total{labels} {count}\n");
            assert!(metrics.contains(&line), "{fault:?}: {metrics}");
        }
        assert_eq!(state.inflight.held(), 0);
    }
}

/// The state of a server in which the requests of one client may hold `bytes`.
fn limited(fixture: &Fixture, bytes: usize) -> HttpState {
    HttpState {
        inflight: InflightBytes::new(bytes * 4 / 3),
        ..state(fixture)
    }
}

#[tokio::test]
async fn what_does_not_fit_the_budget_of_bytes_is_503_with_retry_after() {
    let fixture = Fixture::new(Task::Discriminate);
    let state = limited(&fixture, 8 << 10);
    let text = |count: usize| json!({"text": "fake ".repeat(count)}).to_string();
    let fits = async || send(&state, post("/discriminate", text(20))).await.status;
    assert_eq!(fits().await, 200);
    let busy = state.inflight.of(Client::Local).reserve(8 << 10).unwrap();
    let read = refused(&state, post("/discriminate", text(20)), 503, "overloaded").await;
    assert_eq!(read.headers["retry-after"], "1");
    drop(busy);
    // Small in bytes, large once it is parsed.
    let list = json!({"text": vec!["a"; 200]}).to_string();
    refused(&state, post("/discriminate", list), 503, "overloaded").await;
    // Small, with a large answer.
    refused(&state, post("/discriminate", text(300)), 503, "overloaded").await;
    assert_eq!(state.inflight.held(), 0);
    assert_eq!(fits().await, 200);
}

#[tokio::test]
async fn an_answer_is_held_until_its_last_byte_is_taken_and_metrics_show_it() {
    let fixture = Fixture::new(Task::Discriminate);
    let state = state(&fixture);
    let infer = json!({"inputs": [
        {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["the fake fox"]},
    ]});
    for (path, body) in [
        ("/discriminate", json!({"text": "the fake fox"})),
        ("/v2/models/model/infer", infer),
    ] {
        let request = post(path, body.to_string());
        let response = router::router(state.clone(), Door::Public)
            .oneshot(request)
            .await;
        let response = response.unwrap();
        let length = response.headers()["content-length"].to_str().unwrap();
        let length: usize = length.parse().unwrap();
        assert_eq!(state.inflight.held(), length, "{path}");
        let metrics = send(&state, get("/metrics")).await.text;
        let line = format!("electra_inflight_bytes {length}\n");
        assert!(metrics.contains(&line), "{metrics}");
        drop(to_bytes(response.into_body(), usize::MAX).await.unwrap());
        assert_eq!(state.inflight.held(), 0, "{path}");
    }
}

#[tokio::test]
async fn answers_to_get_are_weighed_until_they_are_sent() {
    let fixture = Fixture::new(Task::Tag);
    let state = HttpState {
        unsent: InflightBytes::new(16 << 10),
        ..state(&fixture)
    };
    let unread = async || {
        let answer = router::router(state.clone(), Door::Public).oneshot(get("/openapi.json"));
        answer.await.unwrap()
    };
    // However large, one weighs a quarter of what all may have, and one client may have three quarters.
    let held = [unread().await, unread().await, unread().await];
    assert!(held.iter().all(|response| response.status() == 200));
    refused(&state, get("/metrics"), 503, "overloaded").await;
    // Health is answered, and so is what is no read.
    assert_eq!(send(&state, get("/health/ready")).await.status, 200);
    let text = post("/tag", r#"{"text": "fox"}"#);
    assert_eq!(send(&state, text).await.status, 200);
    drop(held);
    assert_eq!(send(&state, get("/metrics")).await.status, 200);
    assert_eq!(state.unsent.held(), 0);
}

#[tokio::test]
async fn a_request_is_weighed_before_its_body_comes() {
    let fixture = Fixture::new(Task::Tag);
    let state = state(&fixture);
    let body = Body::from_stream(tokio_stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = with(post("/tag", body), "x-long", &"a".repeat(1000));
    let waiting = tokio::spawn({
        let state = state.clone();
        async move { send(&state, request).await }
    });
    eventually("its head is held", async || {
        (5000..6000).contains(&state.inflight.held())
    })
    .await;
    waiting.abort();
    eventually("it is given back", async || state.inflight.held() == 0).await;
}

#[tokio::test]
async fn a_request_is_held_while_it_waits() {
    let fixture = Fixture::new(Task::Discriminate);
    let state = state(&fixture);
    fixture.model.shut();
    let text = "the fake fox ".repeat(100);
    let request = post("/discriminate", json!({"text": text}).to_string());
    let waiting = tokio::spawn({
        let state = state.clone();
        async move { send(&state, request).await }
    });
    fixture.model.until_begun(1).await;
    let held = state.inflight.held();
    // The text, and its tokens and their logits.
    assert!((text.len()..100 * text.len()).contains(&held), "{held}");
    waiting.abort();
    eventually("it is given back", async || state.inflight.held() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_given_up_a_second_after_the_server_drains() {
    // A few bytes and silence, and bytes that keep arriving fast enough.
    for pause in [Duration::from_hours(1), Duration::from_millis(10)] {
        let fixture = Fixture::new(Task::Tag);
        let state = state(&fixture);
        let started = Instant::now();
        let bytes = tokio_stream::iter(0..).then(move |_| async move {
            sleep(pause).await;
            Ok::<_, std::io::Error>(vec![b' '; 20])
        });
        let request = post("/tag", Body::from_stream(bytes));
        let request = with(request, "x-request-timeout-ms", "300000");
        let drain = async {
            sleep(Duration::from_secs(3)).await;
            fixture.service.enter(Stage::Draining);
        };
        tokio::join!(refused(&state, request, 503, "draining"), drain);
        assert_eq!(started.elapsed().as_secs(), 4);
    }
}
