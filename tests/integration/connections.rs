//! More connections than the server allows: health checks go on.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};

use electra_server::config::Config;
use electra_server::grpc::proto::electra::TagRequest;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Server, config, eventually, repository};

/// Sends the first lines of a request on a new connection, and reads until the server closes.
async fn exchange(address: SocketAddr, lines: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("{lines}\r\nhost: a\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_maximum_only_health_is_answered() {
    let models = repository(&["token-cased"]);
    let mut config: Config = config(models.path());
    config.connections.max_connections = NonZeroUsize::MIN;
    // The client's connection, which it keeps, is the only one.
    let server = Server::start(config).await;
    for path in ["/health", "/health/live", "/v2/health/ready"] {
        let answer = exchange(
            server.address,
            &format!("GET {path} HTTP/1.1\r\nconnection: close"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    for request in [
        "GET /models",
        "GET /metrics",
        "POST /health",
        "GET /healthy",
    ] {
        // The client would keep the connection.
        let answer = exchange(server.address, &format!("{request} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{request}: {answer}");
        for part in [
            "\r\nconnection: close\r\n",
            "\r\nretry-after: 2\r\n",
            r#""code":"overloaded""#,
        ] {
            assert!(answer.contains(part), "{request}: {answer}");
        }
    }
    let channel = server.grpc_channel().await;
    let health = HealthCheckRequest::default();
    let status = HealthClient::new(channel.clone()).check(health).await;
    assert_eq!(status.expect("an answer").into_inner().status, 1);
    let refused = ElectraClient::new(channel).tag(TagRequest::default()).await;
    let refused = refused.expect_err("a refusal");
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(
        refused.metadata().get("error-code").expect("a code"),
        "overloaded"
    );
    // The one connection is answered as always. The client may have a second for a while, until that ends.
    let refusals = r#"electra_requests_total{route="/models",model="",code="503"} 1"#;
    eventually("metrics on the one connection", async || {
        server.metrics().await.contains(refusals).then_some(())
    })
    .await;
    eventually("reserved connections end", async || {
        let open = "electra_connections{protocol=\"http\"} 1\n";
        server.metrics().await.contains(open).then_some(())
    })
    .await;
    server.ended().await.expect("a clean end");
}

#[cfg(unix)]
#[test]
fn a_low_limit_of_open_files_lowers_the_maximum_and_is_logged() {
    let models = repository(&["token-cased"]);
    let mut process = Command::new("sh")
        .args(["-c", "ulimit -n 128; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_electra"))
        .args([
            "serve",
            "--http",
            "127.0.0.1:0",
            "--grpc",
            "off",
            "--models",
        ])
        .arg(models.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let log = BufReader::new(process.stderr.take().expect("a pipe"));
    let mut lines = log.lines().map(|line| line.expect("UTF-8"));
    let mut before = Vec::new();
    let warning = lines.find(|line| {
        before.push(line.clone());
        line.contains("max_connections is lowered") || line.contains("default model")
    });
    process.kill().expect("it runs");
    process.wait().expect("it ends");
    let warning = warning.unwrap_or_else(|| panic!("{before:#?}"));
    assert!(
        warning.contains("using=48") && warning.contains("128"),
        "{before:#?}"
    );
}
