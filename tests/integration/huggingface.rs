//! Hugging Face's interface answers as transformers 4.57.6's pipelines: the same labels, spans and order, and scores to
//! 1e-4.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Server, default_server, golden, small_server};

const TOLERANCE: f64 = 1e-4;

/// Whether two answers are equal, up to the last digits of numbers.
fn agree(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| agree(a, b))
        }
        (Value::Object(found), Value::Object(wanted)) => {
            found.len() == wanted.len()
                && wanted
                    .iter()
                    .all(|(key, wanted)| found.get(key).is_some_and(|found| agree(found, wanted)))
        }
        (Value::Number(found), Value::Number(wanted)) if wanted.is_f64() => {
            let number = |value: &serde_json::Number| value.as_f64().expect("a number");
            (number(found) - number(wanted)).abs() <= TOLERANCE
        }
        _ => found == wanted,
    }
}

async fn check(server: &Server, case: &Value, body: Value, wanted: &Value) {
    let name = case["checkpoint"].as_str().expect("a name");
    let found = server.ask(&format!("/models/{name}"), &body).await;
    let (found, wanted) = match case.get("cut") {
        None => (found, wanted.clone()),
        Some(_) => beginning(&found, wanted),
    };
    assert!(
        agree(&found, &wanted),
        "{name} {body}\nfound  {found}\nwanted {wanted}"
    );
}

/// The entities of a long text that the pipeline finds too, without a last group, which may continue after the
/// pipeline's truncation.
fn beginning(found: &Value, wanted: &Value) -> (Value, Value) {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let (mut found, mut wanted) = (list(found), list(wanted));
    assert!(found.len() > wanted.len(), "the rest of the text is tagged");
    let same = match wanted.first() {
        Some(entity) if entity.get("entity_group").is_some() => wanted.len() - 1,
        _ => wanted.len(),
    };
    found.truncate(same);
    wanted.truncate(same);
    (found.into(), wanted.into())
}

/// The cases of a file, for small models only.
fn cases(path: &str) -> Vec<Value> {
    let golden = golden(path);
    let cases = golden["cases"].as_array().expect("cases").clone();
    let is_small = |case: &Value| {
        let name = case["checkpoint"].as_str().expect("a name");
        !name.starts_with("electra-mini-")
    };
    cases.into_iter().filter(is_small).collect()
}

async fn check_requests(task: &str, least: usize) {
    let server = small_server();
    let cases = cases(&format!("pipelines/requests/{task}.json"));
    assert!(cases.len() >= least, "only {} cases", cases.len());
    for case in &cases {
        let body = json!({"inputs": case["inputs"], "parameters": case["parameters"]});
        // For a single input, the pipeline returns its answer without a list.
        check(&server, case, body, &case["output"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_classified_as_by_transformers() {
    check_requests("text-classification", 120).await;
    let server = small_server();
    for case in cases("pipelines/text-classification.json") {
        let mut parameters = case["parameters"].clone();
        // By default, the pipeline returns one label. The server returns all, as Hugging Face's own does.
        let given = parameters.as_object_mut().expect("an object");
        given.entry("top_k").or_insert(json!(1));
        let body = json!({"inputs": case["inputs"], "parameters": parameters});
        check(&server, &case, body, &json!([case["output"]])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_classified_as_by_transformers() {
    check_requests("token-classification", 120).await;
    let server = small_server();
    for case in cases("pipelines/token-classification.json") {
        let body = json!({"inputs": case["inputs"], "parameters": case["parameters"]});
        check(&server, &case, body, &case["output"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_as_by_transformers() {
    check_requests("question-answering", 120).await;
    let server = small_server();
    let path = "pipelines/question-answering.json";
    let contexts = golden(path)["contexts"].clone();
    for case in cases(path) {
        let context = &contexts[case["context"].as_str().expect("a name")];
        let inputs = json!({"question": case["question"], "context": context});
        let body = json!({"inputs": inputs, "parameters": case["parameters"]});
        check(&server, &case, body, &case["output"]).await;
    }
}

/// With parameters of older clients and of the tokenizer, the answers have the formats of all pipelines.
#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_that_transformers_takes_means_the_same() {
    let server = small_server();
    let cases = cases("pipelines/parameters.json");
    assert!(cases.len() > 150, "only {} cases", cases.len());
    for case in &cases {
        let body = json!({"inputs": case["inputs"], "parameters": case["parameters"]});
        check(&server, case, body, &case["output"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_questions_is_answered_in_its_order() {
    let server = small_server();
    let cases = cases("pipelines/requests/question-answering.json");
    let plain: Vec<&Value> = cases
        .iter()
        .filter(|case| case["checkpoint"] == "qa-plain" && case["parameters"] == json!({}))
        .collect();
    assert!(plain.len() > 1, "too few cases without parameters");
    let all =
        |field: &str| -> Vec<Value> { plain.iter().map(|case| case[field].clone()).collect() };
    let body = json!({"inputs": all("inputs")});
    check(&server, plain[0], body, &all("output").into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_asked_and_counted_as_other_routes_are() {
    let server = default_server();
    let body = json!({"inputs": "good", "parameters": {}});
    let request = server.post("/models/electra-mini-sentiment@1", &body);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().contains_key("server-timing"));
    assert!(response.headers().contains_key("x-request-id"));
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(answer[0].as_array().map(Vec::len), Some(2), "{answer}");
    let counted = "electra_requests_total{route=\"/models/{name}\",model=\"electra-mini-sentiment\",code=\"200\"}";
    let metrics = server.metrics().await;
    assert!(metrics.contains(counted), "{metrics}");

    let missing = server.post("/models/none", &body);
    server.refused(missing, 404, "model_not_found").await;
    let discriminator = server.post("/models/electra-mini-discriminator", &body);
    let error = server.refused(discriminator, 422, "wrong_task").await;
    assert!(error.to_string().contains("/discriminate"), "{error}");
    let priority = server
        .post("/models/electra-mini-sentiment", &body)
        .header("x-request-priority", "9");
    server.refused(priority, 422, "invalid_header").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_tells_its_health_and_what_it_is() {
    let server = default_server();
    let get = |path: &str| server.send(server.get(path));
    let (status, health) = get("/models/electra-mini-qa/health").await;
    assert_eq!((status.as_u16(), health), (200, json!({"status": "ready"})));
    let (_, info) = get("/models/electra-mini-chunker/info").await;
    assert_eq!(info["model_id"], "electra-mini-chunker");
    assert_eq!(info["task"], "token-classification");
    assert_eq!(info["precision"], "int8");
    let (_, info) = get("/models/electra-mini-discriminator/info").await;
    assert_eq!(info["task"], "replaced-token-detection");
    for path in ["/models/none/health", "/models/none/info"] {
        server
            .refused(server.get(path), 404, "model_not_found")
            .await;
    }
}
