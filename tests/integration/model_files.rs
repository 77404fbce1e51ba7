//! What one bad file in a model's folder does: it fails its own model, by name, and nothing else.

use std::path::Path;

use electra_server::export::Precision;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::harness::{Server, checkpoint, config, copy_folder, eventually, exported, repository};

const CLASSIFIER: &str = "sequence-three-labels";

/// Puts a named pipe that nobody writes to in a file's place.
fn pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
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

#[tokio::test]
async fn a_named_pipe_is_refused_by_name_and_never_opened() {
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
        pipe(&folder.path().join(&name).join(file));
        bad.push((name, file));
    }
    let server = Server::start_unready(config(folder.path())).await;
    for (name, file) in bad {
        let reason = reason(&server, &name).await;
        for part in [file, "it is not a regular file but a named pipe"] {
            assert!(reason.contains(part), "{name}: {reason}");
        }
    }
    server
        .ask("/classify", &json!({"text": "a", "model": CLASSIFIER}))
        .await;
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
