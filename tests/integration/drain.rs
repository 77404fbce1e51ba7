//! Start and stop: the server is ready only once models are loaded, and accepted requests are answered.

use std::net::SocketAddr;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Server, config, copy_folder, default_models, eventually, repository};

/// A request that the server has begun to read: only its body is left to send.
struct Accepted(TcpStream);

impl Accepted {
    /// Sends the headers, and waits for the server's leave to send the body: it reads the request then.
    async fn begin(address: SocketAddr, body: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let length = body.len();
        let head = format!(
            "POST /discriminate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("it is read");
        let leave = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut found = vec![0; leave.len()];
        stream.read_exact(&mut found).await.expect("an answer");
        assert_eq!(found, leave, "{}", String::from_utf8_lossy(&found));
        Self(stream)
    }

    /// Sends the body and returns the answer, which must be whole.
    async fn finish(mut self, body: &str) -> Value {
        self.0.write_all(body.as_bytes()).await.expect("it is read");
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_answered_before_the_server_ends() {
    let mut server = Server::start(config(&default_models())).await;
    let text = "The old bridge across the river was closed last winter. ".repeat(30);
    let body = json!({"text": text}).to_string();
    let mut accepted = Vec::new();
    for _ in 0..8 {
        accepted.push(Accepted::begin(server.address, &body).await);
    }
    server.begin_stop();
    eventually("new connections are refused", async || {
        let refused = TcpStream::connect(server.address).await.is_err();
        refused.then_some(())
    })
    .await;
    let answers: Vec<_> = accepted
        .into_iter()
        .map(|request| {
            let body = body.clone();
            tokio::spawn(async move { request.finish(&body).await })
        })
        .collect();
    for answer in answers {
        let answer = answer.await.expect("an answer");
        let tokens = answer["results"][0]["tokens"].as_array();
        assert!(tokens.is_some_and(|tokens| tokens.len() > 300), "{answer}");
    }
    server.ended().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_load_is_named_and_the_others_serve() {
    let models = repository(&["discriminator-plain", "token-cased"]);
    let graph = models.path().join("token-cased/model.onnx");
    std::fs::write(&graph, b"no graph at all").expect("a file");
    let server = Server::start_unready(config(models.path())).await;
    let reason = eventually("the failure is told", async || {
        let (status, body) = server.send(server.get("/health/ready")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let words = ["token-cased", "could not be loaded"];
        let text = body.to_string();
        words
            .iter()
            .all(|words| text.contains(words))
            .then_some(body)
    })
    .await;
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
    let model = eventually("loading fails", async || {
        let (_, model) = server.send(server.get("/models/qa-plain")).await;
        (model["state"] == "failed").then_some(model)
    })
    .await;
    assert!(model.to_string().contains("too short"), "{model}");
    server.ended().await.expect("a clean end");
}
