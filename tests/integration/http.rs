//! HTTP itself: trailing slashes, HEAD, and the media types of bodies.

use reqwest::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, default_server};

/// All paths that GET answers.
const PATHS: [&str; 18] = [
    "/models",
    "/models/electra-mini-qa",
    "/models/electra-mini-qa/health",
    "/models/electra-mini-qa/info",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/electra-mini-qa",
    "/v2/models/electra-mini-qa/ready",
    "/v2/models/electra-mini-qa/config",
    "/v2/models/electra-mini-qa/versions/1",
    "/v2/models/electra-mini-qa/versions/1/ready",
    "/health",
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/docs",
    "/docs/page.js",
];

async fn send(server: &Server, method: Method, path: &str) -> Response {
    let request = server.client.request(method, server.url(path));
    request.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_at_the_end_of_a_path_changes_no_answer() {
    let server = default_server();
    for path in PATHS {
        let found = send(&server, Method::GET, &format!("{path}/")).await;
        assert_eq!(found.status(), StatusCode::OK, "{path}/");
        let wanted = send(&server, Method::GET, path).await;
        let kinds = [&found, &wanted].map(|response| response.headers()[CONTENT_TYPE].clone());
        assert_eq!(kinds[0], kinds[1], "{path}/");
        if path != "/docs" {
            let texts = (
                found.text().await.expect("text"),
                wanted.text().await.expect("text"),
            );
            assert_eq!(texts.0, texts.1, "{path}/");
        }
    }
    let text = json!({"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]});
    for (path, body) in [
        ("/discriminate", json!({"text": "a"})),
        (
            "/models/electra-mini-chunker",
            json!({"inputs": "She sings"}),
        ),
        (
            "/v2/models/electra-mini-chunker/infer",
            json!({"inputs": [text]}),
        ),
        (
            "/v2/models/electra-mini-chunker/versions/1/infer",
            json!({"inputs": [text]}),
        ),
        ("/v2/repository/index", json!({})),
        ("/v2/repository/models/electra-mini-qa/load", json!({})),
    ] {
        let found = server.ask(&format!("{path}/"), &body).await;
        assert_eq!(found, server.ask(path, &body).await, "{path}/");
    }
    // Unknown paths are unknown with a trailing slash too.
    for (path, status, code) in [
        ("/nothing/", 404, "route_not_found"),
        ("/models/nobody/", 404, "model_not_found"),
        ("/docs/nothing.js/", 404, "route_not_found"),
        ("/tag/", 405, "method_not_allowed"),
    ] {
        server.refused(server.get(path), status, code).await;
    }
    // All of them count as one route.
    let metrics = server.metrics().await;
    assert!(metrics.contains("route=\"/discriminate\""), "{metrics}");
    assert!(!metrics.contains("/\",model="), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_path_with_a_slash_loads_its_files() {
    let server = default_server();
    let response = send(&server, Method::GET, "/docs/").await;
    let base = response.url().clone();
    let page = response.text().await.expect("text");
    let links = page.split("=\"").skip(1).map(|rest| rest.split('"').next());
    let files = links
        .flatten()
        .filter(|link| link.ends_with("js") || link.ends_with("css") || link.ends_with("json"));
    let files: Vec<&str> = files.collect();
    assert_eq!(files.len(), 4, "{page}");
    for file in files {
        let address = base.join(file).expect("a link");
        let found = server.client.get(address).send().await.expect("an answer");
        assert_eq!(found.status(), StatusCode::OK, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_as_get_without_a_body() {
    let server = default_server();
    let with_slash = PATHS.map(|path| format!("{path}/"));
    let slashed = with_slash.iter().map(String::as_str);
    for path in PATHS
        .into_iter()
        .chain(slashed)
        .chain(["/metrics", "/v2/models/stats"])
    {
        let head = send(&server, Method::HEAD, path).await;
        let get = send(&server, Method::GET, path).await;
        assert_eq!(head.status(), get.status(), "{path}");
        let names = |response: &Response| {
            let mut names: Vec<_> = response.headers().keys().cloned().collect();
            names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            names
        };
        assert_eq!(names(&head), names(&get), "{path}");
        assert_eq!(head.headers()[CONTENT_TYPE], get.headers()[CONTENT_TYPE]);
        if !["/metrics", "/v2/models/stats"].contains(&path) {
            assert_eq!(
                head.headers()[CONTENT_LENGTH],
                get.headers()[CONTENT_LENGTH],
                "{path}"
            );
        }
        assert_eq!(head.bytes().await.expect("no body").len(), 0, "{path}");
    }
    for (path, status) in [
        ("/nothing", StatusCode::NOT_FOUND),
        ("/models/nobody", StatusCode::NOT_FOUND),
        ("/tag", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let head = send(&server, Method::HEAD, path).await;
        assert_eq!(head.status(), status, "{path}");
        assert_eq!(head.bytes().await.expect("no body").len(), 0, "{path}");
    }
    for (path, methods) in [
        ("/models", "GET,HEAD"),
        ("/models/electra-mini-qa", "GET,HEAD,POST"),
        ("/models/electra-mini-qa/", "GET,HEAD,POST"),
        ("/tag", "POST"),
    ] {
        let refused = send(&server, Method::DELETE, path).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = refused.headers()[ALLOW].to_str().expect("ASCII");
        let mut allowed: Vec<&str> = allowed.split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), methods, "{path}");
    }
}

/// Bodies for routes that other servers have too, and the expected answers.
fn bodies() -> Vec<(&'static str, String)> {
    let text = json!({"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]});
    let index = json!({"ready": true});
    [
        (
            "/models/electra-mini-chunker",
            json!({"inputs": "She sings"}),
        ),
        (
            "/v2/models/electra-mini-chunker/infer",
            json!({"inputs": [text]}),
        ),
        (
            "/v2/models/electra-mini-chunker/versions/1/infer",
            json!({"inputs": [text]}),
        ),
        ("/v2/repository/index", index),
        ("/v2/repository/models/electra-mini-qa/load", json!({})),
    ]
    .map(|(path, body)| (path, body.to_string()))
    .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_other_servers_protocols_need_no_declaration() {
    let server = default_server();
    let undeclared =
        |path: &str, body: &str| server.client.post(server.url(path)).body(body.to_owned());
    for (path, body) in bodies() {
        let whole: Value = serde_json::from_str(&body).expect("JSON");
        let wanted = server.ask(path, &whole).await;
        for declared in [
            None,
            Some(""),
            Some("application/x-www-form-urlencoded"),
            Some("Application/X-WWW-Form-URLencoded; charset=utf-8"),
            Some("application/json"),
        ] {
            let mut request = undeclared(path, &body);
            if let Some(declared) = declared {
                request = request.header(CONTENT_TYPE, declared);
            }
            let (status, found) = server.send(request).await;
            assert_eq!(
                (status, &found),
                (StatusCode::OK, &wanted),
                "{path} {declared:?}"
            );
        }
        // Other media types are taken at their word.
        for declared in ["text/plain", "multipart/form-data", "text/json"] {
            let request = undeclared(path, &body).header(CONTENT_TYPE, declared);
            server.refused(request, 415, "unsupported_media_type").await;
        }
        // An actual form is not JSON.
        let form = undeclared(path, "inputs=She+sings");
        let form = form.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        server.refused(form, 400, "invalid_json").await;
    }
    // The server's own routes require a media type.
    for declared in ["", "application/x-www-form-urlencoded"] {
        let request = undeclared("/tag", "{\"text\": \"a\"}").header(CONTENT_TYPE, declared);
        server.refused(request, 415, "unsupported_media_type").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_before_json_is_read_over() {
    let server = default_server();
    let own = [
        ("/discriminate", json!({"text": "a fox"}).to_string()),
        ("/classify", json!({"text": "a fox"}).to_string()),
        ("/tag", json!({"text": "a fox"}).to_string()),
        (
            "/qa",
            json!({"question": "who?", "context": "a fox"}).to_string(),
        ),
    ];
    for (path, body) in own.into_iter().chain(bodies()) {
        let wanted = server
            .ask(path, &serde_json::from_str(&body).expect("JSON"))
            .await;
        let request = server.client.post(server.url(path));
        let request = request.header(CONTENT_TYPE, "application/json");
        let (status, found) = server.send(request.body(format!("\u{feff}{body}"))).await;
        assert_eq!((status, found), (StatusCode::OK, wanted), "{path}");
    }
    // The header gives the length of the JSON part, which includes the byte order mark.
    let text = json!({"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}});
    let document = format!("\u{feff}{}", json!({"inputs": [text]}));
    let body = [document.as_bytes(), b"\x01\0\0\0a"].concat();
    let request = server
        .client
        .post(server.url("/v2/models/electra-mini-chunker/infer"));
    let request = request.header("inference-header-content-length", document.len());
    let (status, found) = server.send(request.body(body)).await;
    assert_eq!(status, StatusCode::OK, "{found}");
}
