//! Starting and stopping: ready only when loaded, and what was accepted is answered.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Server, config, copy_folder, default_models, repository};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_answered_before_the_server_ends() {
    let mut server = Server::start(config(&default_models())).await;
    let body =
        json!({"text": "The old bridge across the river was closed last winter. ".repeat(30)});
    let requests: Vec<_> = (0..8)
        .map(|_| {
            let request = server.post("/discriminate", &body);
            tokio::spawn(async move { request.send().await })
        })
        .collect();
    // Accepted means counted in the queue or by a worker: wait until the server says so.
    loop {
        let metrics = server.metrics().await;
        let depth = metrics.lines().find(|line| {
            line.starts_with("electra_queue_depth{model=\"electra-mini-discriminator\"")
        });
        if depth.is_some_and(|line| !line.ends_with(" 0")) {
            break;
        }
        tokio::task::yield_now().await;
    }
    server.begin_stop();
    let mut answered = 0;
    for request in requests {
        match request.await.expect("no panic") {
            Ok(response) if response.status() == StatusCode::OK => {
                let answer: Value = response.json().await.expect("a whole answer");
                assert!(
                    answer["results"][0]["tokens"]
                        .as_array()
                        .is_some_and(|tokens| tokens.len() > 300)
                );
                answered += 1;
            }
            // Not accepted: the connection or the request came too late.
            Ok(response) => assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE),
            Err(error) => assert!(error.is_connect() || error.is_request(), "{error}"),
        }
    }
    assert!(answered > 0);
    server.ended().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_load_is_named_and_the_others_serve() {
    let models = repository(&["discriminator-plain", "token-cased"]);
    let graph = models.path().join("token-cased/model.onnx");
    std::fs::write(&graph, b"no graph at all").expect("a file");
    let server = Server::start_unready(config(models.path())).await;
    let reason = loop {
        let (status, body) = server.send(server.get("/health/ready")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        if body.to_string().contains("token-cased")
            && body.to_string().contains("could not be loaded")
        {
            break body;
        }
        tokio::task::yield_now().await;
    };
    assert!(reason["error"].as_str().is_some(), "{reason}");
    assert_eq!(
        server
            .get("/health/live")
            .send()
            .await
            .expect("an answer")
            .status(),
        StatusCode::OK
    );
    server
        .ask("/discriminate", &json!({"text": "still served"}))
        .await;
    server
        .refused(
            server.post("/tag", &json!({"text": "a"})),
            503,
            "model_unavailable",
        )
        .await;
    let (_, model) = server.send(server.get("/models/token-cased")).await;
    assert_eq!(model["state"], "failed");
    server.ended().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_model_folder_and_damaged_weights_are_told_apart() {
    let models = repository(&["qa-plain"]);
    let data = models.path().join("qa-plain/model.onnx.data");
    let bytes = std::fs::read(&data).expect("weights");
    std::fs::write(&data, &bytes[..bytes.len() / 2]).expect("a file");
    copy_folder(
        &crate::harness::exported(
            "discriminator-plain",
            electra_server::export::Precision::Fp32,
        ),
        &models.path().join("whole"),
    );
    let server = Server::start_unready(config(models.path())).await;
    loop {
        let (_, model) = server.send(server.get("/models/qa-plain")).await;
        if model["state"] == "failed" {
            assert!(model.to_string().contains("too short"), "{model}");
            break;
        }
        tokio::task::yield_now().await;
    }
    server.ended().await.expect("a clean end");
}
