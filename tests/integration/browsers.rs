//! Hosts and origins: which requests of web pages are taken, over real sockets and every protocol.

use electra_server::config::Config;
use electra_server::grpc::proto::electra::TagRequest;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Server, config, default_server, repository};

const LISTED: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

/// A server of one small model, with this list of hosts and of origins.
async fn guarded(hosts: &str, origins: &str) -> (tempfile::TempDir, Server) {
    let models = repository(&["token-cased"]);
    let mut config: Config = config(models.path());
    config.browsers.allowed_hosts = hosts.parse().expect("hosts");
    config.browsers.cors_allow_origins = origins.parse().expect("origins");
    let server = Server::start(config).await;
    (models, server)
}

async fn sent(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

fn header(response: &Response, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
    let value = response.headers().get(name)?;
    Some(value.to_str().expect("text"))
}

/// A POST with neither a content type nor a body, as any page can send it.
fn form(server: &Server, path: &str) -> RequestBuilder {
    server.client.post(server.url(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_can_change_and_ask_nothing() {
    let server = default_server();
    let unload = "/v2/repository/models/nobody/unload";
    // Without a browser, the request is taken: there is no such model.
    server
        .refused(form(&server, unload), 404, "model_not_found")
        .await;
    for (name, headers) in [
        (
            "a form",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("origin", EVIL),
            ][..],
        ),
        (
            "a sandboxed form",
            &[("sec-fetch-site", "cross-site"), ("origin", "null")],
        ),
        (
            "a script",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
                ("origin", EVIL),
            ],
        ),
        (
            "a sister site",
            &[
                ("sec-fetch-site", "same-site"),
                ("origin", "http://127.0.0.1:1"),
            ],
        ),
        ("an older browser", &[("origin", EVIL)]),
        ("an older browser's form", &[("origin", "null")]),
    ] {
        for kind in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/json"),
        ] {
            for path in [unload, "/v2/repository/index", "/tag"] {
                let request = headers
                    .iter()
                    .fold(form(&server, path), |request, (name, value)| {
                        request.header(*name, *value)
                    });
                let request = match kind {
                    Some(kind) => request.header("content-type", kind).body("{}"),
                    None => request,
                };
                let error = server.refused(request, 403, "cross_site").await;
                let sentence = error["error"].as_str().expect("a sentence");
                assert!(
                    sentence.contains("cors_allow_origins"),
                    "{name}: {sentence}"
                );
            }
        }
    }
    // Its own pages ask, and links lead here.
    let own = format!("http://{}", server.address);
    let request = server
        .post("/tag", &json!({"text": "a"}))
        .header(ORIGIN, &own);
    assert_eq!(sent(request).await.status(), 200);
    let request = server
        .post("/tag", &json!({"text": "a"}))
        .header("sec-fetch-site", "same-origin")
        .header(ORIGIN, EVIL);
    assert_eq!(sent(request).await.status(), 200);
    let link = server
        .get("/docs")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document");
    assert_eq!(sent(link).await.status(), 200);
    // Nobody may read an answer.
    let response = sent(server.get("/models").header(ORIGIN, own)).await;
    assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), None);
    let metrics = server.metrics().await;
    let counted = r#"{route="/v2/repository/models/{name}/unload",model="",code="403"}"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_listed_origins_ask_after_a_preflight() {
    let (_models, server) = guarded("none", LISTED).await;
    let preflight = |path: &str, origin: &str, method: &str| {
        server
            .client
            .request(Method::OPTIONS, server.url(path))
            .header(ORIGIN, origin)
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "cors")
            .header(ACCESS_CONTROL_REQUEST_METHOD, method)
            .header(ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type")
    };
    for (path, method, methods) in [
        ("/tag", "POST", "POST"),
        ("/tag/", "POST", "POST"),
        ("/models", "GET", "GET, HEAD"),
        ("/models/org/name", "GET", "GET, HEAD, POST"),
        ("/v2/models/token-cased/infer", "POST", "POST"),
    ] {
        let response = sent(preflight(path, LISTED, method)).await;
        assert_eq!(response.status(), 204, "{path}");
        assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), Some(LISTED));
        assert_eq!(
            header(&response, ACCESS_CONTROL_ALLOW_METHODS),
            Some(methods)
        );
        assert_eq!(header(&response, VARY), Some("origin"));
        assert_eq!(header(&response, ACCESS_CONTROL_MAX_AGE), Some("3600"));
        let headers = header(&response, ACCESS_CONTROL_ALLOW_HEADERS).expect("a list");
        for name in [
            "authorization",
            "content-type",
            "x-request-id",
            "x-request-priority",
            "x-request-timeout-ms",
            "traceparent",
            "inference-header-content-length",
        ] {
            assert!(
                headers.split(", ").any(|listed| listed == name),
                "{headers}"
            );
        }
    }
    server
        .refused(preflight("/tag", EVIL, "POST"), 403, "cross_site")
        .await;
    server
        .refused(
            preflight("/nothing", LISTED, "POST"),
            404,
            "route_not_found",
        )
        .await;
    // OPTIONS that is no preflight is any other method.
    let plain = server.client.request(Method::OPTIONS, server.url("/tag"));
    server.refused(plain, 405, "method_not_allowed").await;

    let asked = |origin: &str| {
        server
            .post("/tag", &json!({"text": "a"}))
            .header(ORIGIN, origin)
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "cors")
    };
    let response = sent(asked(LISTED)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), Some(LISTED));
    let shown = header(&response, ACCESS_CONTROL_EXPOSE_HEADERS).expect("a list");
    for name in ["x-request-id", "server-timing", "retry-after"] {
        assert!(shown.contains(name), "{shown}");
    }
    server.refused(asked(EVIL), 403, "cross_site").await;
    // Errors can be read too, and answers without an origin are not cached for pages.
    let response = sent(server.get("/models/nobody").header(ORIGIN, LISTED)).await;
    assert_eq!(response.status(), 404);
    assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), Some(LISTED));
    let response = sent(server.get("/models")).await;
    assert_eq!(header(&response, VARY), Some("origin"));
    assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), None);
    // A form is never taken, because it sends without asking first.
    let form = form(&server, "/v2/repository/index")
        .header(ORIGIN, LISTED)
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate");
    server.refused(form, 403, "cross_site").await;
    server.ended().await.expect("a clean end");

    let (_models, server) = guarded("none", "*").await;
    let request = server
        .post("/tag", &json!({"text": "a"}))
        .header(ORIGIN, EVIL);
    let response = sent(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), Some("*"));
    server.ended().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_hosts_are_answered_but_for_health_checks() {
    let (_models, server) = guarded("electra.example, *.pods.example:8080", "none").await;
    let named = |path: &str, host: &str| server.get(path).header(HOST, host);
    for host in [
        "electra.example",
        "ELECTRA.example:9",
        "a.pods.example:8080",
    ] {
        assert_eq!(sent(named("/models", host)).await.status(), 200, "{host}");
    }
    for host in ["evil.example", "a.pods.example", "127.0.0.1"] {
        let error = server
            .refused(named("/models", host), 421, "unknown_host")
            .await;
        let sentence = error["error"].as_str().expect("a sentence");
        assert!(sentence.contains(host), "{sentence}");
        for path in [
            "/health",
            "/health/live",
            "/health/ready/",
            "/v2/health/ready",
            "/v2/models/token-cased/ready",
        ] {
            assert_eq!(sent(named(path, host)).await.status(), 200, "{path}");
        }
    }
    server
        .refused(server.get("/metrics"), 421, "unknown_host")
        .await;
    server
        .refused(server.get("/docs"), 421, "unknown_host")
        .await;

    // HTTP/2 names the host in the request's address.
    for (authority, status) in [("electra.example", 200), ("evil.example", 421)] {
        let stream = TcpStream::connect(server.address)
            .await
            .expect("a connection");
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut client, connection) = handshake.expect("HTTP/2");
        tokio::spawn(connection);
        let request = hyper::Request::get(format!("http://{authority}/models"));
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let response = client.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), status, "{authority}");
        response.into_body().collect().await.expect("a body");
    }

    for (authority, expected) in [
        ("electra.example:9000", None),
        ("evil.example", Some(Code::PermissionDenied)),
    ] {
        let channel = named_channel(&server, authority).await;
        let mut client = ElectraClient::new(channel.clone());
        let request = TagRequest {
            text: vec!["a".to_owned()],
            ..TagRequest::default()
        };
        let answer = client.tag(request).await;
        let refusal = answer.err();
        assert_eq!(refusal.as_ref().map(tonic::Status::code), expected);
        if let Some(refusal) = refusal {
            assert_eq!(
                refusal.metadata().get("error-code").expect("a code"),
                "unknown_host"
            );
        }
        let health = HealthClient::new(channel)
            .check(HealthCheckRequest::default())
            .await;
        assert_eq!(health.expect("an answer").into_inner().status, 1);
    }
    server.ended().await.expect("a clean end");
}

/// A gRPC connection that names this host.
async fn named_channel(server: &Server, authority: &str) -> Channel {
    let address = server.grpc.expect("gRPC is on");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let origin = format!("http://{authority}").parse().expect("an address");
    endpoint
        .origin(origin)
        .connect()
        .await
        .expect("a connection")
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_guess_no_media_type() {
    let server = default_server();
    let large = vec![b'a'; 3 << 20];
    for (request, status) in [
        (server.get("/health/live"), 200),
        (server.get("/docs"), 200),
        (server.get("/docs/page.js"), 200),
        (server.get("/metrics"), 200),
        (server.post("/tag", &json!({"text": "a"})), 200),
        (server.get("/nothing"), 404),
        (server.get("/tag"), 405),
        (form(&server, "/tag"), 415),
        (
            form(&server, "/tag")
                .header("content-type", "application/json")
                .body(large),
            413,
        ),
        (server.get("/models").header(ORIGIN, EVIL), 403),
    ] {
        let response = sent(request).await;
        assert_eq!(response.status(), status);
        assert_eq!(
            header(&response, "x-content-type-options"),
            Some("nosniff"),
            "{status}"
        );
    }
}
