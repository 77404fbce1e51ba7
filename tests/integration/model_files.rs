//! What one bad file in a model's folder does: it fails its own model, by name, and nothing else.

use std::path::Path;

use electra_server::export::Precision;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::harness::{
    Server, checkpoint, config, copy_folder, eventually, exported, project, repository,
};

const CLASSIFIER: &str = "sequence-three-labels";

/// Makes a named pipe that nobody writes to.
fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).expect("a named pipe");
}

/// The reason for which a model is not loaded, once there is one.
async fn reason(server: &Server, name: &str) -> String {
    let path = format!("/models/{name}");
    eventually(&format!("{name} fails to load"), async || {
        let (_, report) = server.send(server.get(&path)).await;
        report["reason"].as_str().map(str::to_owned)
    })
    .await
}

/// Waits until the good model answers. It sorts last, so it loads last.
async fn until_classified(server: &Server) {
    eventually("the good model answers", async || {
        let (status, _) = server
            .send(server.post("/classify", &json!({"text": "a"})))
            .await;
        status.is_success().then_some(())
    })
    .await;
}

/// Serves a good model, and one for each kind of file, in whose place `replace` has put another. Each of these must fail
/// by a reason that names the file and has `also` in it.
async fn each_bad_file_fails_its_own_model(replace: impl Fn(&Path), also: &str) {
    let folder = repository(&[CLASSIFIER]);
    let graph = exported("qa-plain", Precision::Fp32);
    let weights = checkpoint("qa-plain");
    let mut bad = Vec::new();
    for (source, file) in [
        (&graph, "model.onnx"),
        (&graph, "model.onnx.data"),
        (&graph, "config.json"),
        (&graph, "tokenizer.json"),
        (&graph, "tokenizer_config.json"),
        (&graph, "electra.toml"),
        (&weights, "model.safetensors"),
        (&weights, "config.json"),
    ] {
        let name = format!("a{}", bad.len());
        copy_folder(source, &folder.path().join(&name));
        let path = folder.path().join(&name).join(file);
        let _ = std::fs::remove_file(&path);
        replace(&path);
        bad.push((name, file));
    }
    let server = Server::start_unready(config(folder.path())).await;
    for (name, file) in bad {
        let reason = reason(&server, &name).await;
        for part in [file, also] {
            assert!(reason.contains(part), "{name}: {reason}");
        }
    }
    until_classified(&server).await;
}

#[tokio::test]
async fn a_named_pipe_is_refused_by_name_and_never_opened() {
    each_bad_file_fails_its_own_model(pipe, "it is not a regular file but a named pipe").await;
}

/// Files that can be opened, and fail to be read: as on a disk with errors.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_can_not_be_read_fails_its_own_model_by_name() {
    // A regular file, at whose start no memory is mapped.
    let unreadable =
        |path: &Path| std::os::unix::fs::symlink("/proc/self/mem", path).expect("a link");
    each_bad_file_fails_its_own_model(unreadable, "").await;
}

/// A graph with fewer rows of weights than the tokenizer has tokens, which nothing tells before it runs.
#[tokio::test]
async fn a_batch_that_onnx_runtime_fails_is_answered_500_and_the_model_serves_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("rows");
    std::fs::create_dir(&model).expect("a folder");
    let fuzz = project().join("tests/fuzz");
    // 16 rows.
    std::fs::copy(fuzz.join("corpus/graph/small"), model.join("model.onnx")).expect("a graph");
    let mut words = vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "fox"];
    let more: Vec<String> = (6..=16).map(|id| format!("word{id}")).collect();
    words.extend(more.iter().map(String::as_str));
    std::fs::write(model.join("vocab.txt"), words.join("\n")).expect("a vocabulary");
    let config_json = json!({
        "architectures": ["ElectraForTokenClassification"],
        "model_type": "electra",
        "vocab_size": 17,
        "id2label": {"0": "O", "1": "A", "2": "B"},
    });
    std::fs::write(model.join("config.json"), config_json.to_string()).expect("a configuration");
    let server = Server::start(config(folder.path())).await;
    for _ in 0..2 {
        let beyond = server.post("/tag", &json!({"text": "fox word16"}));
        server.refused(beyond, 500, "internal").await;
        server.ask("/tag", &json!({"text": "fox word15"})).await;
    }
    let metrics = server.metrics().await;
    let line = "electra_requests_total{route=\"/tag\",model=\"rows\",code=\"500\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn a_model_that_sorts_first_takes_the_route_only_once_it_serves() {
    let folder = repository(&[CLASSIFIER]);
    let mut config = config(folder.path());
    config.watch_interval = Some(std::time::Duration::from_millis(10));
    let server = Server::start(config).await;
    let by_default = async || {
        let answer = server.ask("/classify", &json!({"text": "a"})).await;
        answer["model"].as_str().map(str::to_owned)
    };
    let whole = exported(CLASSIFIER, Precision::Fp32);
    let broken = folder.path().join(".new");
    copy_folder(&whole, &broken);
    std::fs::write(broken.join("model.onnx"), "noise").expect("a file");
    std::fs::rename(&broken, folder.path().join("aaa")).expect("a folder");
    reason(&server, "aaa").await;
    assert_eq!(by_default().await.as_deref(), Some(CLASSIFIER));
    std::fs::copy(
        whole.join("model.onnx"),
        folder.path().join("aaa/model.onnx"),
    )
    .expect("a copy");
    eventually("it takes the route", async || {
        let name = by_default().await;
        (name.as_deref() == Some("aaa")).then_some(())
    })
    .await;
}

/// Changes keys of the config.json in a folder.
fn configure(folder: &Path, changes: &serde_json::Value) {
    let path = folder.join("config.json");
    let text = std::fs::read(&path).expect("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let entries = config.as_object_mut().expect("an object");
    entries.extend(changes.as_object().expect("an object").clone());
    std::fs::write(&path, config.to_string()).expect("config.json");
}

#[tokio::test]
async fn sizes_that_a_model_only_claims_take_no_memory() {
    let folder = repository(&[CLASSIFIER]);
    let claims = [
        json!({"num_hidden_layers": 16_000_000}),
        json!({"hidden_size": 16_000_000}),
        json!({"hidden_size": 16_000_000, "num_attention_heads": 16_000_000, "pruned_heads": {"0": [0]}}),
        json!({"vocab_size": 16_000_000, "max_position_embeddings": 16_000_000}),
        json!({"intermediate_size": 16_000_000, "type_vocab_size": 16_000_000}),
        json!({"id2label": null, "num_labels": 65_536}),
    ];
    for (index, claim) in claims.iter().enumerate() {
        let model = folder.path().join(format!("a{index}"));
        copy_folder(&checkpoint(CLASSIFIER), &model);
        configure(&model, claim);
    }
    // A graph beside a config.json that is not its own.
    let graph = folder.path().join("graph");
    copy_folder(&exported("qa-plain", Precision::Fp32), &graph);
    configure(&graph, &claims[0]);
    let server = Server::start_unready(config(folder.path())).await;
    for index in 0..claims.len() {
        reason(&server, &format!("a{index}")).await;
    }
    let question = json!({"question": "who?", "context": "a b c", "model": "graph"});
    eventually("the graph serves", async || {
        let (status, _) = server.send(server.post("/qa", &question)).await;
        status.is_success().then_some(())
    })
    .await;
    until_classified(&server).await;
}

/// The status of /health/ready, and its reason.
async fn readiness(server: &Server) -> (u16, String) {
    let response = server.get("/health/ready").send().await;
    let response = response.expect("an answer");
    let status = response.status().as_u16();
    (status, response.text().await.expect("text"))
}

#[tokio::test]
async fn an_emptied_repository_stays_in_service_and_is_not_ready() {
    let folder = repository(&[CLASSIFIER, "qa-plain"]);
    let models = folder.path().join("models");
    std::fs::create_dir(&models).expect("a folder");
    for name in [CLASSIFIER, "qa-plain"] {
        std::fs::rename(folder.path().join(name), models.join(name)).expect("a folder");
    }
    let mut config = config(&models);
    config.watch_interval = Some(std::time::Duration::from_millis(10));
    let server = Server::start(config).await;
    let status_is = async |wanted: u16, part: &str| {
        eventually(&format!("readiness is {wanted} {part}"), async || {
            let (status, reason) = readiness(&server).await;
            (status == wanted && reason.contains(part)).then_some(())
        })
        .await;
    };
    let question = json!({"question": "who?", "context": "a b c"});
    let away = folder.path().join("away");
    for empty in [true, false] {
        std::fs::rename(&models, &away).expect("a folder");
        if empty {
            std::fs::create_dir(&models).expect("a folder");
        }
        let reason = if empty {
            "has no models"
        } else {
            "can't be read"
        };
        status_is(503, reason).await;
        server.ask("/classify", &json!({"text": "a"})).await;
        server.ask("/qa", &question).await;
        if empty {
            std::fs::remove_dir(&models).expect("a folder");
        }
        std::fs::rename(&away, &models).expect("a folder");
        status_is(200, "").await;
    }
    // One folder of several is its owner's to remove.
    std::fs::rename(models.join(CLASSIFIER), folder.path().join("gone")).expect("a folder");
    eventually("it is unloaded", async || {
        let (status, _) = server
            .send(server.get(&format!("/models/{CLASSIFIER}")))
            .await;
        (status.as_u16() == 404).then_some(())
    })
    .await;
    assert_eq!(readiness(&server).await.0, 200);
    // Nothing serves.
    let unload = server.post("/v2/repository/models/qa-plain/unload", &json!({}));
    assert_eq!(server.send(unload).await.0.as_u16(), 200);
    let (status, reason) = readiness(&server).await;
    assert_eq!(status, 503);
    assert!(reason.contains("no model is loaded"), "{reason}");
}

#[tokio::test]
async fn links_to_files_are_followed() {
    // As Kubernetes mounts a volume: links to a folder whose name begins with dots.
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("mood");
    copy_folder(
        &exported(CLASSIFIER, Precision::Fp32),
        &model.join("..data"),
    );
    for file in crate::harness::file_names(&model.join("..data")) {
        let target = Path::new("..data").join(&file);
        std::os::unix::fs::symlink(target, model.join(&file)).expect("a link");
    }
    let server = Server::start(config(folder.path())).await;
    server.ask("/classify", &json!({"text": "a"})).await;
}
