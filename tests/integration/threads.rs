//! The threads of a server, counted: those that compute are as many as there are workers, whatever the number of models.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::available_parallelism;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Server, ServerProcess, default_models};

const WORKERS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn threads_do_not_grow_with_the_number_of_models() {
    let text = json!({"text": "The old man bought a new car in London."});
    let question = json!({"question": "Who wrote it?", "context": "Maria wrote it."});
    let requests = [
        ("/discriminate", &text),
        ("/classify", &text),
        ("/tag", &text),
        ("/qa", &question),
    ];
    let discriminator = default_models().join("electra-mini-discriminator");
    let mut of_one = threads_under_load(&discriminator, &requests[..1]).await;
    let mut of_four = threads_under_load(&default_models(), &requests).await;

    let workers = WORKERS.min(available_parallelism().map_or(1, usize::from));
    for threads in [&mut of_one, &mut of_four] {
        // `electra-worker-N`, without the number.
        assert_eq!(
            threads.get("electra-worker-"),
            Some(&workers),
            "{threads:?}"
        );
        // Those that serve connections, and for a while the one that loaded the models.
        let serving = threads.remove("tokio-rt-worker").unwrap_or(0);
        assert!(
            (WORKERS..=WORKERS + 1).contains(&serving),
            "{serving} beside {threads:?}"
        );
    }
    assert_eq!(of_one, of_four);
}

/// The threads of a server that has answered several requests at once to each route.
async fn threads_under_load(models: &Path, requests: &[(&str, &Value)]) -> BTreeMap<String, usize> {
    let process = ServerProcess::start(models, &["--workers", &WORKERS.to_string()]);
    let server = Server::at(process.address);
    let sent: Vec<_> = requests
        .iter()
        .flat_map(|request| [request; 4])
        .map(|(path, body)| tokio::spawn(server.post(path, body).send()))
        .collect();
    for response in sent {
        let response = response.await.expect("no panic").expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
    }
    threads(process.process.id())
}

/// How many threads of each name a process has. Linux keeps the first 15 bytes of a name.
fn threads(process: u32) -> BTreeMap<String, usize> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("a running process");
    let mut names = BTreeMap::new();
    for task in tasks {
        let name = task.expect("a thread").path().join("comm");
        // A thread may end meanwhile.
        if let Ok(name) = std::fs::read_to_string(name) {
            *names.entry(name.trim_end().to_owned()).or_default() += 1;
        }
    }
    names
}
