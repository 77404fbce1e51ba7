//! The model repository while it is served: versions, aliases, electra.toml, loading and unloading on request and by
//! polling, and checkpoints without a graph.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use electra_server::export::Precision;
use electra_server::grpc::proto::inference as proto;
use electra_server::grpc::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{
    Server, ServerProcess, checkpoint, config, copy_folder, default_models, eventually, exported,
    repository,
};

const CLASSIFIER: &str = "sequence-three-labels";

/// Writes a version of the three-label classifier, with labels that begin with `labels`.
fn write_version(folder: &Path, labels: &str) {
    copy_folder(&exported(CLASSIFIER, Precision::Fp32), folder);
    let settings = format!("labels = [\"{labels}0\", \"{labels}1\", \"{labels}2\"]");
    std::fs::write(folder.join("electra.toml"), settings).expect("electra.toml");
}

/// A server that polls its repository at a short interval.
async fn following(models: &Path) -> Server {
    let mut config = config(models);
    config.watch_interval = Some(Duration::from_millis(10));
    Server::start(config).await
}

/// The first letter of the labels in a model's answer.
async fn letter(server: &Server, model: &str) -> String {
    let answer = server
        .ask(
            "/classify",
            &json!({"text": "a b c", "model": model, "top_k": 1}),
        )
        .await;
    let label = answer["results"][0]["labels"][0]["label"].as_str();
    label.expect("a label")[..1].to_owned()
}

/// GET /models/{name} once it is as wanted.
async fn report_when(server: &Server, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/models/{name}");
    let what = format!("GET {path} is as wanted");
    eventually(&what, async || {
        let (_, report) = server.send(server.get(&path)).await;
        wanted(&report).then_some(report)
    })
    .await
}

/// Waits until the metrics contain a line. They are updated shortly after the list of models.
async fn until_counted(server: &Server, line: &str) {
    let what = format!("the metrics have `{line}`");
    eventually(&what, async || {
        server.metrics().await.contains(line).then_some(())
    })
    .await;
}

async fn expect_ready(server: &Server) {
    let response = server.get("/health/ready").send().await;
    assert_eq!(response.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn the_highest_version_serves_and_others_can_be_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("mood");
    for (version, labels) in [("2", "b"), ("10", "c"), ("1", "a")] {
        write_version(&model.join(version), labels);
    }
    std::fs::write(model.join("electra.toml"), "aliases = [\"feeling\"]").expect("electra.toml");
    let server = Server::start(config(folder.path())).await;
    for (address, expected) in [
        ("mood", "c"),
        ("mood@1", "a"),
        ("mood@2", "b"),
        ("feeling", "c"),
        ("feeling@1", "a"),
    ] {
        assert_eq!(letter(&server, address).await, expected, "{address}");
    }
    let unknown = server.post("/classify", &json!({"text": "a", "model": "mood@3"}));
    server.refused(unknown, 404, "model_not_found").await;
    let (_, report) = server.send(server.get("/models/feeling")).await;
    assert_eq!(report["versions"], json!(["1", "2", "10"]));
    assert_eq!(
        (&report["version"], &report["name"]),
        (&json!("10"), &json!("mood"))
    );
}

#[tokio::test]
async fn a_models_own_routes_are_counted_from_zero() {
    let models = repository(&["token-bio"]);
    let mut config = config(models.path());
    for speaks_grpc in [true, false] {
        config.grpc = config.grpc.filter(|_| speaks_grpc);
        let metrics = Server::start(config.clone()).await.metrics().await;
        let counted = |route: &str| {
            let labels = format!("{{route=\"{route}\",model=\"token-bio\"");
            let requests = format!("electra_requests_total{labels},code=\"200\"}} 0\n");
            let durations = format!("electra_request_duration_seconds_count{labels}}} 0\n");
            metrics.contains(&requests) && metrics.contains(&durations)
        };
        assert!(counted("/tag"), "{metrics}");
        for method in ["/electra.v1.Electra/Tag", "/electra.v1.Electra/TagStream"] {
            assert_eq!(counted(method), speaks_grpc, "{method}: {metrics}");
        }
        assert!(!metrics.contains("/electra.v1.Electra/Answer"), "{metrics}");
    }
}

#[tokio::test]
async fn a_new_version_takes_over_and_no_request_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("mood");
    write_version(&model.join("1"), "a");
    let server = Arc::new(following(folder.path()).await);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut seen = String::new();
                while !stop.load(Ordering::Relaxed) {
                    let letter = letter(&server, "mood").await;
                    if !seen.ends_with(&letter) {
                        seen += &letter;
                    }
                }
                seen
            })
        })
        .collect();
    write_version(&model.join("2"), "b");
    report_when(&server, "mood", |report| report["version"] == "2").await;
    assert_eq!(letter(&server, "mood").await, "b");
    // A change in place counts too.
    write_version(&model.join("2"), "c");
    report_when(&server, "mood", |report| report["labels"][0] == "c0").await;
    assert_eq!(letter(&server, "mood").await, "c");
    assert_eq!(letter(&server, "mood@1").await, "a");
    std::fs::remove_dir_all(model.join("2")).expect("a folder");
    report_when(&server, "mood", |report| report["versions"] == json!(["1"])).await;
    assert_eq!(letter(&server, "mood").await, "a");
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let seen = client.await.expect("every request is answered");
        assert!("abca".starts_with(&seen), "{seen}");
    }
}

#[tokio::test]
async fn a_broken_version_replaces_nothing_and_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("mood");
    write_version(&model.join("1"), "a");
    let server = following(folder.path()).await;
    let failed = "electra_model_load_failed{model=\"mood\",version=\"2\"}";
    assert!(!server.metrics().await.contains(failed));
    write_version(&model.join("2"), "b");
    let data = model.join("2/model.onnx.data");
    let whole = std::fs::read(&data).expect("weights");
    std::fs::write(&data, &whole[..whole.len() / 2]).expect("weights");
    let report = report_when(&server, "mood", |report| report["reason"].is_string()).await;
    assert!(
        report["reason"].to_string().contains("too short"),
        "{report}"
    );
    assert_eq!(
        (&report["state"], &report["version"]),
        (&json!("ready"), &json!("1"))
    );
    assert_eq!(report["version_states"][1]["state"], "failed");
    assert_eq!(letter(&server, "mood").await, "a");
    expect_ready(&server).await;
    until_counted(&server, &format!("{failed} 1")).await;
    let broken = server.post("/classify", &json!({"text": "a", "model": "mood@2"}));
    server.refused(broken, 503, "model_unavailable").await;
    // Once repaired, it serves.
    std::fs::write(&data, &whole).expect("weights");
    let report = report_when(&server, "mood", |report| report["version"] == "2").await;
    assert!(report.get("reason").is_none(), "{report}");
    until_counted(&server, &format!("{failed} 0")).await;
    // If its files break, it goes on serving from memory.
    std::fs::write(&data, &whole[..7]).expect("weights");
    let report = report_when(&server, "mood", |report| report["reason"].is_string()).await;
    assert_eq!(
        (&report["state"], &report["version"]),
        (&json!("ready"), &json!("2"))
    );
    assert_eq!(letter(&server, "mood").await, "b");
}

#[tokio::test]
async fn models_come_and_go_with_their_folders() {
    let folder = repository(&[CLASSIFIER]);
    let server = following(folder.path()).await;
    // A folder that is still being filled: it loads once it is complete.
    let source = exported("discriminator-plain", Precision::Fp32);
    let target = folder.path().join("late");
    std::fs::create_dir(&target).expect("a folder");
    for file in [
        "config.json",
        "tokenizer.json",
        "model.onnx.data",
        "model.onnx",
    ] {
        let (_, report) = server.send(server.get("/models/late")).await;
        assert_ne!(report["state"], "ready", "{report}");
        std::fs::copy(source.join(file), target.join(file)).expect("a copy");
    }
    report_when(&server, "late", |report| report["state"] == "ready").await;
    server.ask("/discriminate", &json!({"text": "a b"})).await;
    // A model that can't be loaded does not affect the others.
    std::fs::create_dir(folder.path().join("odd")).expect("a folder");
    for (file, content) in [
        ("model.onnx", "no graph"),
        ("vocab.txt", "a"),
        ("config.json", "{}"),
    ] {
        std::fs::write(folder.path().join("odd").join(file), content).expect("a file");
    }
    report_when(&server, "odd", |report| report["state"] == "failed").await;
    expect_ready(&server).await;
    std::fs::remove_dir_all(&target).expect("a folder");
    report_when(&server, "late", |report| {
        report["code"] == "model_not_found"
    })
    .await;
    let gone = server.post("/discriminate", &json!({"text": "a"}));
    server.refused(gone, 404, "model_not_found").await;
    assert!(
        !server
            .metrics()
            .await
            .contains("electra_model_ready{model=\"late\"")
    );
}

#[tokio::test]
async fn models_are_unloaded_and_loaded_by_request() {
    let folder = repository(&[CLASSIFIER, "qa-plain"]);
    let server = following(folder.path()).await;
    let control = |action: &str, model: &str| {
        server.post(
            &format!("/v2/repository/models/{model}/{action}"),
            &json!({}),
        )
    };
    assert_eq!(
        server.send(control("unload", CLASSIFIER)).await.0,
        StatusCode::OK
    );
    let asked = || server.post("/classify", &json!({"text": "a", "model": CLASSIFIER}));
    let refusal = server.refused(asked(), 503, "model_unloaded").await;
    assert!(refusal["error"].to_string().contains("/load"), "{refusal}");
    let by_default = server.post("/classify", &json!({"text": "a"}));
    server.refused(by_default, 503, "model_unloaded").await;
    let (_, report) = server
        .send(server.get(&format!("/models/{CLASSIFIER}")))
        .await;
    assert_eq!(report["state"], "unloaded");
    assert!(
        !server
            .metrics()
            .await
            .contains("electra_model_ready{model=\"sequence")
    );
    expect_ready(&server).await;
    // It stays unloaded, even if its folder changes.
    write_version(&folder.path().join(CLASSIFIER), "z");
    write_version(&folder.path().join("other"), "o");
    report_when(&server, "other", |report| report["state"] == "ready").await;
    server.refused(asked(), 503, "model_unloaded").await;
    assert_eq!(
        server.send(control("load", CLASSIFIER)).await.0,
        StatusCode::OK
    );
    assert_eq!(letter(&server, CLASSIFIER).await, "z");
    // Loading a loaded model changes nothing. A missing or broken model gives an error.
    assert_eq!(
        server.send(control("load", CLASSIFIER)).await.0,
        StatusCode::OK
    );
    for action in ["load", "unload"] {
        for missing in ["none", &format!("{CLASSIFIER}@7")] {
            server
                .refused(control(action, missing), 404, "model_not_found")
                .await;
        }
    }
    let by_version = control("load", &format!("{CLASSIFIER}@1"));
    assert_eq!(server.send(by_version).await.0, StatusCode::OK);
    std::fs::write(folder.path().join("qa-plain/config.json"), "{").expect("a file");
    let broken = server
        .refused(control("load", "qa-plain"), 503, "model_unavailable")
        .await;
    assert!(
        broken["error"].to_string().contains("config.json"),
        "{broken}"
    );
    let question = json!({"question": "who?", "context": "a b c"});
    server.ask("/qa", &question).await;
}

#[tokio::test]
async fn electra_toml_sets_limits_and_defaults() {
    let folder = repository(&["discriminator-plain", CLASSIFIER]);
    let write = |model: &str, text: &str| {
        std::fs::write(folder.path().join(model).join("electra.toml"), text).expect("a file");
    };
    write(
        "discriminator-plain",
        "[limits]\nmax_text_bytes = 10\nmax_inputs = 2\n[defaults]\nlevel = \"word\"\noffsets = \"utf8\"",
    );
    write(
        CLASSIFIER,
        "[defaults]\ntop_k = 2\n[limits]\nmax_tokens = 6",
    );
    let server = Server::start(config(folder.path())).await;
    let answer = server.ask("/discriminate", &json!({"text": "é a"})).await;
    let words = &answer["results"][0]["words"];
    assert_eq!(
        (&words[0]["end"], &words[1]["start"]),
        (&json!(2), &json!(3)),
        "{answer}"
    );
    let answer = server
        .ask("/discriminate", &json!({"text": "a", "level": "token"}))
        .await;
    assert!(answer["results"][0]["tokens"].is_array(), "{answer}");
    for (text, code) in [
        (json!("eleven byte"), "text_too_long"),
        (json!(["a", "b", "c"]), "too_many_inputs"),
    ] {
        let request = server.post("/discriminate", &json!({"text": text}));
        server.refused(request, 422, code).await;
    }
    let answer = server.ask("/classify", &json!({"text": "a"})).await;
    assert_eq!(
        answer["results"][0]["labels"].as_array().map(Vec::len),
        Some(2)
    );
    let long = server.post("/classify", &json!({"text": "a b c d e f g"}));
    let refusal = server.refused(long, 422, "too_many_tokens").await;
    assert!(
        refusal["error"].to_string().contains("reads 6"),
        "{refusal}"
    );
}

#[tokio::test]
async fn an_electra_toml_that_does_not_fit_is_said() {
    for (model, text, expected) in [
        (CLASSIFIER, "tsak = 1", "`task`"),
        (CLASSIFIER, "task = \"qa\"", "classify"),
        (CLASSIFIER, "labels = [\"a\"]", "3 scores"),
        (CLASSIFIER, "[defaults]\nstride = 1", "stride"),
        (CLASSIFIER, "[limits]\nmax_tokens = 100000", "max_tokens"),
        (CLASSIFIER, "graph = \"onnx/other.onnx\"", "other.onnx"),
        ("qa-plain", "[defaults]\ntop_k = 101", "at most 100"),
        ("qa-plain", "[defaults]\nstride = 500", "`stride`"),
    ] {
        let folder = repository(&[model]);
        std::fs::write(folder.path().join(model).join("electra.toml"), text).expect("a file");
        let server = Server::start_unready(config(folder.path())).await;
        let report = report_when(&server, model, |report| report["state"] == "failed").await;
        let reason = report["reason"].to_string();
        assert!(reason.contains(expected), "{text}: {report}");
    }
}

#[tokio::test]
async fn a_checkpoint_is_exported_when_it_is_loaded_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("raw");
    copy_folder(&checkpoint("discriminator-plain"), &model);
    std::fs::write(model.join("electra.toml"), "precision = \"fp32\"").expect("a file");
    let ask = async |server: &Server| server.ask("/discriminate", &json!({"text": "a b c"})).await;
    let expected = {
        let repository = repository(&["discriminator-plain"]);
        ask(&Server::start(config(repository.path())).await).await["results"].clone()
    };
    let graph = model.join(".electra/fp32/model.onnx");
    let made = async || {
        let server = Server::start(config(folder.path())).await;
        assert_eq!(ask(&server).await["results"], expected);
        std::fs::metadata(&graph)
            .and_then(|graph| graph.modified())
            .expect("a graph")
    };
    let first = made().await;
    assert_eq!(made().await, first, "kept for the next start");
    let later = first + Duration::from_secs(7);
    let weights = std::fs::File::open(model.join("model.safetensors")).expect("weights");
    weights.set_modified(later).expect("a time");
    assert_ne!(made().await, first, "made again of other files");
    // If the export can't be stored, as in a read-only folder.
    std::fs::remove_dir_all(model.join(".electra")).expect("a folder");
    std::fs::write(model.join(".electra"), "").expect("a file");
    let server = Server::start(config(folder.path())).await;
    assert_eq!(ask(&server).await["results"], expected);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_is_given_back_when_models_are_unloaded() {
    // As in the image and the systemd unit. Otherwise the system's allocator keeps up to 64 MB of freed memory.
    let process = ServerProcess::start_with(
        &default_models(),
        &[
            "--batch-tokens",
            "64",
            "--watch-interval-ms",
            "0",
            "--model-control",
            "on",
        ],
        |mut command| {
            command.env("MALLOC_TRIM_THRESHOLD_", "131072");
            command
        },
    );
    let server = Server::at(process.address);
    let resident = || {
        let path = format!("/proc/{}/status", process.process.id());
        let status = std::fs::read_to_string(path).expect("a status");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("VmRSS");
        let kilobytes = line.split_whitespace().nth(1).expect("a number");
        kilobytes.parse::<u64>().expect("a number") / 1024
    };
    let models = [
        "electra-mini-chunker",
        "electra-mini-qa",
        "electra-mini-sentiment",
    ];
    let all = async |action: &str| {
        for model in models {
            let path = format!("/v2/repository/models/{model}/{action}");
            assert_eq!(
                server.send(server.post(&path, &json!({}))).await.0,
                StatusCode::OK
            );
        }
    };
    let loaded = resident();
    all("unload").await;
    // Three models have 12 MB of weights each that they do not share. Their embeddings, another 12 MB, are shared with
    // the model that stays. On a busy machine, some memory of loading is freed later, or was freed before: 30 to 52 MB
    // were measured.
    let less = format!("memory below the {loaded} MB of four models");
    eventually(&less, async || (resident() + 24 <= loaded).then_some(())).await;
    // Repeats the round, to check that nothing leaks.
    let unloaded = resident();
    for _ in 0..3 {
        all("load").await;
        all("unload").await;
    }
    let no_more = format!("no more than the {unloaded} MB of the first round");
    eventually(&no_more, async || {
        (resident() <= unloaded + 20).then_some(())
    })
    .await;
}

/// A pulled model can be named by its hub name too, on every route that takes a name.
#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_model_answers_by_its_name_on_the_hub() {
    let models = repository(&["sequence-three-labels"]);
    let folder = models.path().join("sequence-three-labels");
    let note = json!({"name": "org/labels.v1", "revision": "main", "commit": "a".repeat(40),
        "endpoint": "https://huggingface.co", "precision": "fp32"});
    std::fs::write(folder.join("source.json"), note.to_string()).expect("a file");
    let server = Server::start(config(models.path())).await;

    let report = server
        .send(server.get("/models/sequence-three-labels"))
        .await
        .1;
    assert_eq!(report["aliases"], json!(["org/labels.v1"]));
    let body = json!({"inputs": "the fox"});
    let answer = server.ask("/models/sequence-three-labels", &body).await;
    for name in ["org/labels.v1", "org%2Flabels.v1", "org/labels.v1@1"] {
        assert_eq!(
            server.ask(&format!("/models/{name}"), &body).await,
            answer,
            "{name}"
        );
        for path in [
            format!("/models/{name}"),
            format!("/models/{name}/"),
            format!("/models/{name}/health"),
            format!("/models/{name}/info"),
            format!("/v2/models/{name}"),
            format!("/v2/models/{name}/ready"),
            format!("/v2/models/{name}/config"),
        ] {
            let (status, answer) = server.send(server.get(&path)).await;
            assert_eq!(status, 200, "{path}: {answer}");
        }
    }
    let ready = server.get("/v2/models/org/labels.v1/versions/1/ready");
    assert_eq!(server.send(ready).await.0, 200);
    let tensors = json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["the fox"]}]});
    let inferred = server.ask("/v2/models/org/labels.v1/infer", &tensors).await;
    assert_eq!(inferred["model_name"], CLASSIFIER, "{inferred}");
    let classified = server
        .ask("/classify", &json!({"text": "a", "model": "org/labels.v1"}))
        .await;
    assert_eq!(classified["model"], "sequence-three-labels");
    // Metrics use one name per model.
    let metrics = server.metrics().await;
    assert!(
        metrics.contains("route=\"/models/{name}\",model=\"sequence-three-labels\""),
        "{metrics}"
    );
    assert!(!metrics.contains("org/labels"), "{metrics}");

    let mut grpc = GrpcInferenceServiceClient::new(server.grpc_channel().await);
    let ready = grpc.model_ready(proto::ModelReadyRequest {
        name: "org/labels.v1".to_owned(),
        version: String::new(),
    });
    assert!(ready.await.expect("an answer").into_inner().ready);

    for path in ["unload", "load"] {
        let path = format!("/v2/repository/models/org/labels.v1/{path}");
        let (status, answer) = server.send(server.post(&path, &json!({}))).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    assert_eq!(server.ask("/models/org/labels.v1", &body).await, answer);
    // No model has this name.
    for path in ["org/other", "org%2Fother"] {
        let path = format!("/models/{path}");
        server
            .refused(server.get(&path), 404, "model_not_found")
            .await;
    }
    let path = format!("/models/{CLASSIFIER}/helth");
    server
        .refused(server.get(&path), 404, "route_not_found")
        .await;
}
