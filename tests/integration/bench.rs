//! `electra bench`: the program itself, on small models, against its own and running servers.

use std::net::TcpListener;
use std::path::Path;

use electra_server::export::Precision;
use serde_json::Value;

use crate::harness::{default_models, electra, exported, repository, small_server, stderr};

/// Runs a short load that must succeed, and returns what it prints. On a machine that is busy with other tests a second
/// may end before the first answer: then the load goes on for longer.
fn load(models: &Path, arguments: &[&str]) -> String {
    let models = models.to_str().expect("UTF-8");
    let run = |seconds: &str| {
        let mut all = vec!["bench", "--models", models, "--seconds", seconds];
        all.extend(["--warm-up-seconds", "0.1"]);
        all.extend(arguments);
        electra(&all).output().expect("an end")
    };
    let mut output = run("1");
    if stderr(&output).contains("No request was answered") {
        output = run("20");
    }
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The report of a short load that must succeed.
fn bench(models: &Path, arguments: &[&str]) -> Value {
    let report = load(models, &[&["--json"], arguments].concat());
    serde_json::from_str(&report).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("`{value}` is no number"))
}

/// Whether a mean of integers is within a range, allowing for rounding.
fn within(mean: f64, shortest: f64, longest: f64) -> bool {
    (shortest - 1e-6..=longest + 1e-6).contains(&mean)
}

/// Checks the properties of every report on sequences of these lengths.
#[track_caller]
fn check(report: &Value, shortest: f64, longest: f64) {
    let (requests, tokens) = (number(&report["requests"]), number(&report["tokens"]));
    assert!(requests > 0.0, "{report}");
    let mean = tokens / requests;
    assert!(within(mean, shortest, longest), "{mean}: {report}");
    let throughput = &report["throughput"];
    let seconds = number(&report["load"]["seconds"]);
    let found = number(&throughput["requests_per_second"]) * seconds;
    assert!((found - requests).abs() < 1e-6 * requests, "{report}");
    let found = number(&throughput["tokens_per_second"]) * seconds;
    assert!((found - tokens).abs() < 1e-6 * tokens, "{report}");
    assert!(number(&throughput["gflops"]) > 0.0, "{report}");
    let latency = &report["latency_ms"];
    let percentiles: Vec<f64> = ["p50", "p90", "p99", "p999", "max"]
        .iter()
        .map(|name| number(&latency[name]))
        .collect();
    assert!(
        percentiles[0] > 0.0 && percentiles.is_sorted(),
        "{percentiles:?}"
    );
    assert!(number(&latency["mean"]) <= percentiles[4], "{latency}");
    assert!(
        report["failures"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty),
        "{report}"
    );
    assert!(number(&report["padding"]).abs() < f64::EPSILON, "{report}");
    let batches = &report["batches"];
    assert!(number(&batches["batches"]) > 0.0, "{report}");
    let mean = number(&batches["tokens"]) / number(&batches["sequences"]);
    assert!(within(mean, shortest, longest), "{mean}: {report}");
    let limit = &report["limit"];
    let rates = ["gflops", "linear_gflops", "attention_gflops"].map(|name| number(&limit[name]));
    assert!(rates.iter().all(|rate| *rate > 0.0), "{limit}");
    let share = number(&throughput["gflops"]) / rates[0];
    assert!(
        (number(&limit["share_reached"]) - share).abs() < 1e-6,
        "{limit}"
    );
}

#[track_caller]
fn check_time_shares(report: &Value) {
    let shares =
        ["queue", "tokenizer", "graph", "rest"].map(|part| number(&report["time_shares"][part]));
    assert!(shares.iter().all(|share| *share >= 0.0), "{report}");
    assert!(shares[2] > 0.0, "{report}");
    assert!(shares.iter().sum::<f64>() < 1.0 + 1e-6, "{report}");
}

#[test]
fn the_engine_runs_full_batches_beside_their_products_alone() {
    let model = exported("sequence-three-labels", Precision::Int8);
    let report = bench(&model, &["--via", "engine", "--lengths", "uniform:5-40"]);
    check(&report, 5.0, 40.0);
    assert_eq!(report["via"], "engine");
    assert_eq!(report["load"]["loop"], "none");
    assert_eq!(report["load"]["texts"], "uniform:5-40");
    assert!(number(&report["batches"]["tokens"]) <= 256.0);
    assert!(number(&report["limit"]["products_share_of_graph"]) > 0.0);
}

#[test]
fn the_service_takes_load_of_several_models_at_once() {
    let models = repository(&["discriminator-plain", "qa-plain", "token-bio"]);
    let names = ["discriminator-plain", "qa-plain", "token-bio"];
    let arguments = [
        &names[..],
        &["--via", "service", "--lengths", "uniform:8-30"],
    ]
    .concat();
    let report = bench(models.path(), &arguments);
    check(&report, 8.0, 30.0);
    check_time_shares(&report);
    assert_eq!(report["models"], serde_json::json!(names));
    assert_eq!(report["via"], "service");
    assert_eq!(report["load"]["loop"], "closed");
    let workers = number(&report["workers"]);
    let concurrency = number(&report["load"]["concurrency"]);
    assert!(
        (concurrency - 8.0 * workers).abs() < f64::EPSILON,
        "{report}"
    );
}

#[test]
fn a_server_of_its_own_takes_a_share_of_what_it_can() {
    let model = exported("discriminator-plain", Precision::Fp32);
    let report = bench(&model, &["--rate", "20%", "--lengths", "uniform:9-9"]);
    check(&report, 9.0, 9.0);
    check_time_shares(&report);
    assert_eq!(
        (&report["via"], &report["url"]),
        (&"http".into(), &Value::Null)
    );
    let load = &report["load"];
    assert_eq!(load["loop"], "open");
    let share = number(&load["rate"]) / number(&load["closed_loop_requests_per_second"]);
    assert!((share - 0.2).abs() < 1e-6, "{load}");
}

#[test]
fn a_server_of_its_own_takes_every_task_over_grpc() {
    let names = [
        "discriminator-plain",
        "sequence-three-labels",
        "token-bio",
        "qa-plain",
    ];
    let models = repository(&names);
    let arguments = [&names[..], &["--via", "grpc", "--lengths", "uniform:8-30"]].concat();
    let report = bench(models.path(), &arguments);
    check(&report, 8.0, 30.0);
    check_time_shares(&report);
    assert_eq!(report["models"], serde_json::json!(names));
    assert_eq!(
        (&report["via"], &report["url"]),
        (&"grpc".into(), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_server_that_runs_already_takes_load_of_several_models() {
    let server = small_server();
    let url = format!("grpc://{}", server.grpc.expect("gRPC is on"));
    let names = ["token-bio", "qa-plain"];
    let models = repository(&names);
    let report = bench(models.path(), &[&names[..], &["--url", &url]].concat());
    assert!(number(&report["requests"]) > 0.0, "{report}");
    check_time_shares(&report);
    assert_eq!(
        (&report["via"], &report["url"]),
        (&"grpc".into(), &url.into())
    );
    assert_eq!(report["workers"], Value::Null);
    assert_eq!(report["failures"], serde_json::json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_runs_already_takes_load_too() {
    let server = small_server();
    let url = server.url("/classify");
    let models = repository(&["sequence-three-labels"]);
    let lengths = ["--lengths", "uniform:5-40", "--concurrency", "3"];
    let report = bench(models.path(), &[&["--url", &url][..], &lengths].concat());
    check(&report, 5.0, 40.0);
    check_time_shares(&report);
    assert_eq!(report["url"], url);
    assert_eq!(report["workers"], Value::Null);
    assert_eq!(report["load"]["concurrency"], 3);
    let body = "{\"text\": [{text}, {text}], \"model\": \"sequence-three-labels\"}";
    let report = bench(
        models.path(),
        &[&["--url", &url, "--body", body][..], &lengths].concat(),
    );
    assert!(number(&report["requests"]) > 0.0, "{report}");
}

#[test]
fn texts_come_from_a_file() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    std::fs::write(path, "A warm, funny film.\n\nDull.\n").expect("a file");
    let sentiment = default_models().join("electra-mini-sentiment");
    let report = bench(&sentiment, &["--via", "service", "--texts", path]);
    // [CLS] a warm , funny film . [SEP], and [CLS] dull . [SEP]
    check(&report, 4.0, 8.0);
    assert_eq!(report["load"]["texts"], path);
    let item = "{\"question\": \"Who wrote it?\", \"context\": \"Maria wrote it.\"}\n";
    std::fs::write(path, item).expect("a file");
    let qa = default_models().join("electra-mini-qa");
    let report = bench(&qa, &["--via", "service", "--texts", path]);
    check(&report, 11.0, 11.0);
}

#[test]
fn failures_are_counted_and_not_hidden() {
    let model = default_models().join("electra-mini-sentiment");
    for (via, status) in [("http", "429"), ("grpc", "RESOURCE_EXHAUSTED")] {
        let load = ["--queue-capacity", "1", "--concurrency", "32"];
        let arguments = [&["--via", via, "--workers", "1"][..], &load].concat();
        let report = bench(&model, &arguments);
        assert!(number(&report["requests"]) > 0.0, "{report}");
        let full = &report["failures"][status];
        assert!(number(&full["requests"]) > 0.0, "{report}");
        assert!(
            full["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("full")),
            "{report}"
        );
    }
}

#[test]
fn the_table_is_for_people() {
    let model = exported("sequence-three-labels", Precision::Int8);
    let table = load(&model, &[]);
    for expected in [
        "over HTTP",
        "closed loop",
        "requests/s",
        "tokens/s",
        "p99.9",
        "in the queue",
        "of the limit",
    ] {
        assert!(table.contains(expected), "{expected} is not in:\n{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_what_to_do() {
    let models = default_models();
    let models = models.to_str().expect("UTF-8");
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let all = [
            &["bench", "--models", models, "--seconds", "0.2"],
            arguments,
        ]
        .concat();
        let output = electra(&all).output().expect("an end");
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(
            message.contains(expected),
            "{expected} is not in:\n{message}"
        );
        assert_eq!(output.stdout, b"", "{arguments:?}");
    };
    let sentiment = "electra-mini-sentiment";
    check(
        &[],
        2,
        "Name one or more of the models: electra-mini-chunker, ",
    );
    check(
        &["electra-mini-sentimnt"],
        2,
        "Did you mean `electra-mini-sentiment`?",
    );
    check(&[sentiment, "--lengths", "long"], 2, "uniform:A-B");
    check(
        &[sentiment, "--lengths", "uniform:5-513"],
        2,
        "has 3 to 512 tokens",
    );
    check(
        &["electra-mini-qa", "--lengths", "uniform:4-9"],
        2,
        "has 5 to 384 tokens",
    );
    check(
        &[sentiment, "--via", "engine", "--rate", "5"],
        2,
        "--via engine",
    );
    check(
        &[sentiment, "--rate", "0"],
        2,
        "a share of a closed loop's throughput",
    );
    check(
        &[sentiment, "--url", "https://localhost/"],
        2,
        "http://HOST:PORT/PATH",
    );
    check(&[sentiment, "--workers", "none"], 2, "--workers");
    let service = ["--via", "service", "--url", "http://localhost:1/"];
    check(&[&[sentiment][..], &service].concat(), 2, "leave out --via");
    let body = ["--url", "http://localhost:1/", "--body", "{}"];
    check(&[&[sentiment][..], &body].concat(), 2, "lacks {text}");
    let grpc = ["--url", "grpc://localhost:1"];
    let body = ["--body", "{text}"];
    check(
        &[&[sentiment][..], &grpc, &body].concat(),
        2,
        "--body is for servers over HTTP",
    );
    check(
        &[&[sentiment, "--via", "http"][..], &grpc].concat(),
        2,
        "leave out --via",
    );

    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    std::fs::write(path, format!("fine\n{}\n", "long ".repeat(600))).expect("a file");
    check(&[sentiment, "--texts", path], 2, "line 2: 602 tokens");
    check(
        &["electra-mini-qa", "--texts", path],
        2,
        "line 1: a JSON object",
    );
    check(&[sentiment, "--texts", "no-such-file"], 2, "no-such-file");

    // A port that was free a moment ago: nothing listens on it.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let url = format!("http://{address}/classify");
    check(&[sentiment, "--url", &url], 1, "No request was answered.");
    let url = small_server().url("/no-such-route");
    check(&[sentiment, "--url", &url], 1, "failed with 404");
    let url = format!("grpc://{address}");
    let refused =
        "failed with connection, the first: transport error: tcp connect error: Connection refused";
    check(&[sentiment, "--url", &url], 1, refused);
    let server = small_server();
    let url = format!("grpc://{}", server.grpc.expect("gRPC is on"));
    check(&[sentiment, "--url", &url], 1, "failed with NOT_FOUND");
}
