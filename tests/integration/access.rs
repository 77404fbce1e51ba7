//! Who may do what: keys, scopes, limits, and the listener for administration.

use std::path::Path;

use electra_server::access::{AccessOptions, Digest};
use electra_server::grpc::proto::electra as electra_proto;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use electra_server::grpc::proto::inference as proto;
use electra_server::grpc::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Server, config, electra, eventually, repository};

const MODEL: &str = "sequence-three-labels";

/// A line of the file of keys, for a key that is its own name.
fn line(name: &str, scopes: &str, limits: &str) -> String {
    format!("{name} {scopes} {} {limits}\n", Digest::of(name.as_bytes()))
}

/// A server with keys of each scope, called as the scope.
struct Guarded {
    server: Server,
    folder: tempfile::TempDir,
    models: tempfile::TempDir,
}

impl Guarded {
    async fn start(admin_http: bool, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = ["infer", "metrics", "admin"].map(|scope| line(scope, scope, ""));
        let file = folder.path().join("keys");
        std::fs::write(&file, keys.concat() + more).unwrap();
        let models = repository(&[MODEL]);
        let mut config = config(models.path());
        config.access = AccessOptions {
            key_file: Some(file),
            model_control: true,
            is_administration_apart: admin_http,
            ..AccessOptions::default()
        };
        config.admin_http = admin_http.then(|| "127.0.0.1:0".to_owned());
        Self {
            server: Server::start(config).await,
            folder,
            models,
        }
    }

    fn write_keys(&self, lines: &str) {
        std::fs::write(self.folder.path().join("keys"), lines).unwrap();
    }

    fn classify(&self) -> RequestBuilder {
        self.server.post("/classify", &json!({"text": "a fox"}))
    }

    fn load(&self) -> RequestBuilder {
        let path = format!("/v2/repository/models/{MODEL}/load");
        self.server.post(&path, &json!({}))
    }
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_route_takes_the_keys_of_its_scopes() {
    let guarded = Guarded::start(false, "").await;
    let server = &guarded.server;
    let get = |path: &str| server.get(path);
    // Each with the statuses that the keys `infer`, `metrics` and `admin` get.
    let table: [(&str, RequestBuilder, [u16; 3]); 9] = [
        ("/classify", guarded.classify(), [200, 403, 403]),
        ("/models", get("/models"), [200, 403, 403]),
        ("/v2", get("/v2"), [200, 403, 403]),
        ("/openapi.json", get("/openapi.json"), [200, 403, 403]),
        ("/docs", get("/docs"), [200, 403, 403]),
        (
            "index",
            server.post("/v2/repository/index", &json!({})),
            [200, 403, 403],
        ),
        ("/metrics", get("/metrics"), [200, 200, 403]),
        ("load", guarded.load(), [403, 403, 200]),
        (
            "a body that is no JSON",
            get("/classify")
                .body("{")
                .header("content-type", "application/json"),
            // Not even the method is looked at without a key.
            [405, 405, 405],
        ),
    ];
    for (what, request, expected) in table {
        for (key, expected) in ["infer", "metrics", "admin"].into_iter().zip(expected) {
            let request = request.try_clone().unwrap().bearer_auth(key);
            assert_eq!(status(request).await, expected, "{what} with {key}");
        }
        if expected == [405; 3] {
            continue;
        }
        let without = request.try_clone().unwrap();
        let answer = without.send().await.unwrap();
        assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{what}");
        assert_eq!(
            answer.headers()["content-type"],
            "application/json",
            "{what}"
        );
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["code"], "unauthenticated", "{what}");
        for (header, value) in [
            ("authorization", "Bearer nobody"),
            ("authorization", "Basic aW5mZXI6"),
            ("x-api-key", "infer"),
        ] {
            let request = request.try_clone().unwrap().header(header, value);
            let error = server.refused(request, 401, "unauthenticated").await;
            assert!(!error.to_string().contains("nobody"), "{error}");
        }
    }
    for open in [
        "/health",
        "/health/live",
        "/health/ready",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/sequence-three-labels/ready",
        "/v2/models/sequence-three-labels/versions/1/ready",
    ] {
        assert_eq!(status(get(open)).await, 200, "{open}");
    }
    let metrics = get("/metrics").bearer_auth("metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("electra_requests_denied_total{key=\"admin\",reason=\"scope\"}"));
    assert!(!metrics.contains("nobody"), "{metrics}");
}

/// A gRPC call with a key in its metadata.
fn with_key<M>(message: M, key: Option<&str>) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(key) = key {
        let value = format!("Bearer {key}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

#[tokio::test]
async fn grpc_takes_the_same_keys_in_its_metadata() {
    let guarded = Guarded::start(false, "").await;
    let channel = guarded.server.grpc_channel().await;
    let mut tasks = ElectraClient::new(channel.clone());
    let mut protocol = GrpcInferenceServiceClient::new(channel);
    let refused = |status: Status, code: Code, name: &str| {
        let found = status.metadata().get("error-code").unwrap().to_str();
        assert_eq!((status.code(), found.unwrap()), (code, name), "{status:?}");
    };
    let classify = || electra_proto::ClassifyRequest {
        text: vec!["a fox".to_owned()],
        ..Default::default()
    };
    for key in [None, Some("nobody")] {
        let status = tasks.classify(with_key(classify(), key)).await.unwrap_err();
        refused(status, Code::Unauthenticated, "unauthenticated");
        let stream = tokio_stream::iter([classify()]);
        let status = tasks
            .classify_stream(with_key(stream, key))
            .await
            .unwrap_err();
        refused(status, Code::Unauthenticated, "unauthenticated");
    }
    let status = tasks.classify(with_key(classify(), Some("admin"))).await;
    refused(
        status.unwrap_err(),
        Code::PermissionDenied,
        "permission_denied",
    );
    tasks
        .classify(with_key(classify(), Some("infer")))
        .await
        .unwrap();
    let stream = tokio_stream::iter(vec![classify(); 3]);
    let answers = tasks
        .classify_stream(with_key(stream, Some("infer")))
        .await
        .unwrap();
    let mut answers = answers.into_inner();
    for _ in 0..3 {
        assert!(answers.message().await.unwrap().is_some());
    }
    let load = || proto::RepositoryModelLoadRequest {
        model_name: MODEL.to_owned(),
        ..Default::default()
    };
    let status = protocol
        .repository_model_load(with_key(load(), Some("infer")))
        .await;
    refused(
        status.unwrap_err(),
        Code::PermissionDenied,
        "permission_denied",
    );
    protocol
        .repository_model_load(with_key(load(), Some("admin")))
        .await
        .unwrap();
    // Health checks are open.
    protocol
        .server_live(proto::ServerLiveRequest {})
        .await
        .unwrap();
    let ready = proto::ModelReadyRequest {
        name: MODEL.to_owned(),
        ..Default::default()
    };
    assert!(
        protocol
            .model_ready(ready)
            .await
            .unwrap()
            .into_inner()
            .ready
    );
    let metadata = protocol
        .server_metadata(proto::ServerMetadataRequest {})
        .await;
    refused(
        metadata.unwrap_err(),
        Code::Unauthenticated,
        "unauthenticated",
    );
}

#[tokio::test]
async fn administration_has_its_own_listener_and_no_other() {
    let guarded = Guarded::start(true, "").await;
    let server = &guarded.server;
    let admin = Server::at(server.admin.unwrap());
    for (path, key) in [("/metrics", "metrics"), ("/metrics", "infer")] {
        server
            .refused(server.get(path).bearer_auth(key), 404, "route_not_found")
            .await;
    }
    server
        .refused(guarded.load().bearer_auth("admin"), 404, "route_not_found")
        .await;
    let channel = server.grpc_channel().await;
    let load = proto::RepositoryModelLoadRequest {
        model_name: MODEL.to_owned(),
        ..Default::default()
    };
    let mut protocol = GrpcInferenceServiceClient::new(channel);
    let refused = protocol
        .repository_model_load(with_key(load, Some("admin")))
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("admin_http"), "{refused:?}");
    // At the other listener.
    for (key, expected) in [("metrics", 200), ("infer", 403), ("admin", 403)] {
        let request = admin.get("/metrics").bearer_auth(key);
        assert_eq!(status(request).await, expected, "{key}");
    }
    assert_eq!(status(admin.get("/metrics")).await, 401);
    assert_eq!(status(admin.get("/health/ready")).await, 200);
    let classify = admin
        .post("/classify", &json!({"text": "a"}))
        .bearer_auth("infer");
    admin.refused(classify, 404, "route_not_found").await;
    let load = admin.post(&format!("/v2/repository/models/{MODEL}/load"), &json!({}));
    assert_eq!(status(load.bearer_auth("admin")).await, 200);
}

#[tokio::test]
async fn without_keys_models_are_loaded_and_unloaded_from_this_machine_alone() {
    let models = repository(&[MODEL]);
    let load = format!("/v2/repository/models/{MODEL}/load");
    let mut off = config(models.path());
    off.access = AccessOptions::default();
    let server = Server::start(off).await;
    // Nobody, by default.
    for act in ["load", "unload"] {
        let path = format!("/v2/repository/models/{MODEL}/{act}");
        let error = server
            .refused(server.post(&path, &json!({})), 403, "permission_denied")
            .await;
        assert!(error.to_string().contains("model_control"), "{error}");
    }
    let channel = server.grpc_channel().await;
    let mut protocol = GrpcInferenceServiceClient::new(channel);
    let unload = proto::RepositoryModelUnloadRequest {
        model_name: MODEL.to_owned(),
        ..Default::default()
    };
    let refused = protocol.repository_model_unload(unload).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    // All else is open, whatever is sent as a key.
    assert_eq!(status(server.get("/models").bearer_auth("any")).await, 200);
    assert_eq!(status(server.get("/metrics")).await, 200);
    // Turned on, from this machine, and not on behalf of another.
    let server = Server::start(config(models.path())).await;
    assert_eq!(status(server.post(&load, &json!({}))).await, 200);
    for header in ["x-forwarded-for", "forwarded"] {
        let request = server
            .post(&load, &json!({}))
            .header(header, "for=192.0.2.1");
        server.refused(request, 403, "permission_denied").await;
    }
}

#[tokio::test]
async fn a_keys_limits_are_kept_and_said() {
    let limits = line("slow", "infer", "requests=0.01/s") + &line("few", "infer", "tokens=1/s");
    let guarded = Guarded::start(false, &limits).await;
    let server = &guarded.server;
    assert_eq!(status(guarded.classify().bearer_auth("slow")).await, 200);
    let answer = guarded.classify().bearer_auth("slow").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((90..=100).contains(&wait), "{wait}");
    let error: Value = answer.json().await.unwrap();
    assert_eq!(error["code"], "rate_limited");
    // A text's tokens are owed once they are known.
    assert_eq!(status(guarded.classify().bearer_auth("few")).await, 200);
    let limited = guarded.classify().bearer_auth("few");
    let error = server.refused(limited, 429, "rate_limited").await;
    assert!(error.to_string().contains("tokens a second"), "{error}");
    // Others are not concerned.
    assert_eq!(status(guarded.classify().bearer_auth("infer")).await, 200);
}

#[tokio::test]
async fn keys_are_replaced_under_load_without_a_failed_request() {
    let guarded = Guarded::start(false, "").await;
    let old = line("infer", "infer", "");
    let ask = async |key: &str| status(guarded.classify().bearer_auth(key)).await;
    let mut key = "infer";
    let mut answered = 0;
    // The new key is added, its clients take it, and the old one is removed.
    guarded.write_keys(&(old.clone() + &line("new", "infer", "")));
    eventually("the new key is valid", async || {
        assert_eq!(ask(key).await, 200);
        answered += 1;
        (ask("new").await == 200).then_some(())
    })
    .await;
    key = "new";
    guarded.write_keys(&line("new", "infer", ""));
    eventually("the old key is not valid any more", async || {
        assert_eq!(ask(key).await, 200);
        answered += 1;
        (ask("infer").await == 401).then_some(())
    })
    .await;
    assert!(answered > 10, "{answered}");
}

#[tokio::test]
async fn strangers_are_told_whether_models_are_ready_and_no_more() {
    let guarded = Guarded::start(false, "").await;
    let server = &guarded.server;
    let broken = guarded.models.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("model.onnx"), "no graph").unwrap();
    std::fs::write(broken.join("vocab.txt"), "[PAD]").unwrap();
    let load = server.post("/v2/repository/models/broken/load", &json!({}));
    assert_eq!(status(load.bearer_auth("admin")).await, 503);
    for (path, expected) in [("nope", 404), ("broken", 503)] {
        let path = format!("/v2/models/{path}/ready");
        let (found, error) = server.send(server.get(&path)).await;
        assert_eq!(found.as_u16(), expected, "{path}");
        let error = error.to_string();
        assert!(
            !error.contains(MODEL) && !error.contains("config.json"),
            "{error}"
        );
        // Who has a key is told.
        let (_, error) = server.send(server.get(&path).bearer_auth("infer")).await;
        let error = error.to_string();
        assert!(
            error.contains(MODEL) || error.contains("config.json"),
            "{error}"
        );
    }
    let mut health = HealthClient::new(server.grpc_channel().await);
    let unknown = HealthCheckRequest {
        service: "nope".to_owned(),
    };
    let refused = health.check(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(!refused.message().contains(MODEL), "{refused:?}");
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_removed() {
    let guarded = Guarded::start(false, "").await;
    let mut tasks = ElectraClient::new(guarded.server.grpc_channel().await);
    let (messages, sent) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(sent);
    let message = || electra_proto::ClassifyRequest {
        text: vec!["a fox".to_owned()],
        ..Default::default()
    };
    messages.send(message()).await.unwrap();
    let answers = tasks
        .classify_stream(with_key(requests, Some("infer")))
        .await;
    let mut answers = answers.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    guarded.write_keys(&line("other", "infer", ""));
    let end = eventually("the stream ends", async || {
        messages.send(message()).await.ok()?;
        answers.message().await.err()
    })
    .await;
    assert_eq!(end.code(), Code::Unauthenticated, "{end:?}");
}

#[tokio::test]
async fn reasons_of_failed_loads_name_no_path_of_the_server() {
    let models = repository(&[MODEL]);
    let broken = models.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("model.onnx"), "no graph").unwrap();
    std::fs::write(broken.join("vocab.txt"), "[PAD]").unwrap();
    let server = Server::start_unready(config(models.path())).await;
    let reason = eventually("it has failed", async || {
        let (_, model) = server.send(server.get("/models/broken")).await;
        model["reason"].as_str().map(str::to_owned)
    })
    .await;
    let readiness = server.get("/health/ready").send().await.unwrap();
    let load = server.post("/v2/repository/models/broken/load", &json!({}));
    let texts = [
        reason,
        readiness.text().await.unwrap(),
        load.send().await.unwrap().text().await.unwrap(),
        server
            .ask("/v2/repository/index", &json!({}))
            .await
            .to_string(),
    ];
    for text in texts {
        let folder = models.path().parent().unwrap_or(Path::new("/"));
        assert!(!text.contains(&*folder.to_string_lossy()), "{text}");
        assert!(text.contains("config.json"), "{text}");
    }
}

#[test]
fn a_new_key_is_printed_once_with_its_line() {
    let made = electra(&["key", "shop", "--scope", "infer,admin"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let printed = String::from_utf8(made.stdout).unwrap();
    let [key, line] = printed.lines().collect::<Vec<_>>()[..] else {
        panic!("a key and a line: {printed}");
    };
    assert_eq!(
        line,
        format!("shop infer,admin {}", Digest::of(key.as_bytes()))
    );
    for wrong in [
        &["key", "a b"][..],
        &["key", "a", "--scope", "all"],
        &["key"],
    ] {
        let refused = electra(wrong).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}: {refused:?}");
    }
}
