//! Counts the threads of a server: as many compute as there are workers, whatever the number of models.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::available_parallelism;

use electra_server::export::Precision;
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Server, ServerProcess, copy_folder, exported};

const WORKERS: usize = 2;
const MODELS: usize = 9;

#[tokio::test(flavor = "multi_thread")]
async fn threads_do_not_grow_with_the_number_of_models() {
    let name = |index: usize| format!("model-{index}");
    let models = tempfile::tempdir().expect("a folder");
    for index in 0..MODELS {
        let exported = exported("discriminator-plain", Precision::Fp32);
        copy_folder(&exported, &models.path().join(name(index)));
    }
    let names: Vec<String> = (0..MODELS).map(name).collect();
    let of_one = threads_under_load(&models.path().join(&names[0]), &names[..1]).await;
    let of_all = threads_under_load(models.path(), &names).await;

    let workers = WORKERS.min(available_parallelism().map_or(1, usize::from));
    for threads in [&of_one, &of_all] {
        // `electra-worker-N`, without the number.
        assert_eq!(
            threads.get("electra-worker-"),
            Some(&workers),
            "{threads:?}"
        );
    }
    // Others come and go: tokio's for blocking work, and those of libraries. One for each model would be more than that.
    let [one, all] = [&of_one, &of_all].map(|threads| threads.values().sum::<usize>());
    assert!(all - one.min(all) < MODELS - 1, "{of_one:?}, {of_all:?}");
}

/// The threads of a server that has answered several requests at once to each model.
async fn threads_under_load(models: &Path, names: &[String]) -> BTreeMap<String, usize> {
    let process = ServerProcess::start(models, &["--workers", &WORKERS.to_string()]);
    let server = Server::at(process.address);
    let sent: Vec<_> = names
        .iter()
        .flat_map(|name| [name; 4])
        .map(|name| json!({"text": "The old man bought a new car.", "model": name}))
        .map(|body| tokio::spawn(server.post("/discriminate", &body).send()))
        .collect();
    for response in sent {
        let response = response.await.expect("no panic").expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
    }
    threads(process.process.id())
}

/// The number of threads of each name in a process. Linux keeps the first 15 bytes of a name.
fn threads(process: u32) -> BTreeMap<String, usize> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("a running process");
    let mut names = BTreeMap::new();
    for task in tasks {
        let name = task.expect("a thread").path().join("comm");
        // A thread may end in the meantime.
        if let Ok(name) = std::fs::read_to_string(name) {
            *names.entry(name.trim_end().to_owned()).or_default() += 1;
        }
    }
    names
}
