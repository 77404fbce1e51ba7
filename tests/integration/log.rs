//! What clients can write into the log.

use electra_server::grpc::proto::electra::TagRequest;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::harness::{Log, Server, ServerProcess, repository};

const SECRET: &str = "zebracadabra";

/// Serves, sends requests of every kind that fails, stops, and returns the lines logged since.
async fn lines_of_failures(arguments: &[&str], count: usize) -> Vec<String> {
    let models = repository(&["token-cased"]);
    let (mut process, log): (ServerProcess, Log) =
        ServerProcess::start_logged(models.path(), arguments);
    let server = Server::at(process.address);
    let text = format!("{SECRET} ").repeat(2000);
    for _ in 0..count {
        let late = server
            .post("/tag", &json!({"text": text}))
            .header("x-request-timeout-ms", "1");
        let secret = server
            .post("/tag", &json!({"text": SECRET, "aggregation": 1}))
            .bearer_auth(SECRET)
            .header("cookie", SECRET)
            .header("x-forwarded-for", SECRET);
        for request in [
            late,
            secret,
            server.post("/tag", &json!({"text": {SECRET: SECRET}})),
            server.get(&format!("/{SECRET}?{SECRET}={SECRET}")),
            server.get("/v2/models/nobody/ready"),
        ] {
            request.send().await.expect("an answer");
        }
        for bytes in [
            format!("CONNECT {SECRET}:443 HTTP/1.1\r\nhost: {SECRET}\r\n\r\n"),
            format!("GET /{SECRET}\u{1} HTTP/1.1\r\n\r\n"),
            format!("GET / HTTP/1.1\r\ncontent-length: {SECRET}\r\n\r\n"),
            format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SECRET}"),
        ] {
            let mut stream = TcpStream::connect(process.address)
                .await
                .expect("a connection");
            stream
                .write_all(bytes.as_bytes())
                .await
                .expect("it is read");
            stream.shutdown().await.expect("it is open");
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
        }
    }
    let endpoint = Endpoint::from_shared(format!("http://{}", process.grpc));
    let channel = endpoint
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    let mut client = ElectraClient::new(channel);
    for _ in 0..count {
        let mut request = Request::new(TagRequest {
            text: vec![text.clone()],
            ..TagRequest::default()
        });
        request
            .metadata_mut()
            .insert("authorization", SECRET.parse().expect("text"));
        request
            .metadata_mut()
            .insert("x-request-timeout-ms", "1".parse().expect("text"));
        let _ = client.tag(request).await;
    }
    drop(client);
    process.terminate();
    assert_eq!(process.exit_code(), Some(0));
    log.rest()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_can_not_fill_the_log() {
    let lines = lines_of_failures(&[], 30).await;
    // A line for each kind of failure, and two about the stop.
    assert!(lines.len() <= 6, "{lines:#?}");
    let late = |line: &&String| line.contains("requests failed") && line.contains("status=504");
    assert_eq!(lines.iter().filter(late).count(), 1, "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_has_what_a_request_says() {
    let lines = lines_of_failures(&["--log", "trace"], 2).await;
    assert!(lines.iter().any(|line| line.contains("request answered")));
    let telling = lines.iter().find(|line| line.contains(SECRET));
    assert_eq!(telling, None);
}
