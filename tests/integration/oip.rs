//! The Open Inference Protocol over HTTP, in JSON and in binary: texts are answered as by the native routes, token ids
//! as by transformers.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{
    Server, config, copy_folder, default_models, default_server, other_graph, repository,
    small_server,
};
use crate::padded::padded_server;
use crate::parity::{FP32_TOLERANCE, cases, largest_difference};
use electra_server::inference::Sequence;

const JSON_LENGTH: &str = "inference-header-content-length";

fn infer_path(model: &str) -> String {
    format!("/v2/models/{model}/infer")
}

/// A BYTES tensor of texts.
fn texts(name: &str, texts: &[&str]) -> Value {
    json!({"name": name, "datatype": "BYTES", "shape": [texts.len(), 1], "data": texts})
}

/// The data of an output.
#[track_caller]
fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let outputs = answer["outputs"].as_array().expect("outputs");
    let found = outputs.iter().find(|output| output["name"] == name);
    &found.unwrap_or_else(|| panic!("no {name} in {answer}"))["data"]
}

fn floats(data: &Value) -> Vec<f32> {
    let numbers = data.as_array().expect("a list").iter();
    #[expect(clippy::cast_possible_truncation, reason = "they are fp32")]
    numbers
        .map(|number| number.as_f64().expect("a number") as f32)
        .collect()
}

/// Each task's default model, with a request to its native route and the same request as tensors.
fn both_ways() -> Vec<(&'static str, &'static str, Value, Value)> {
    let pair = ["It rained all day.", "A fine, warm film."];
    let (question, context) = ("Who wrote it?", "Maria Lopez wrote the letter in 1912.");
    vec![
        (
            "/discriminate",
            "electra-mini-discriminator",
            json!({"text": pair, "level": "word", "threshold": 0.2, "offsets": "utf8"}),
            json!({
                "inputs": [texts("text", &pair)],
                "parameters": {"level": "word", "threshold": 0.2, "offsets": "utf8"},
            }),
        ),
        (
            "/classify",
            "electra-mini-sentiment",
            json!({"text": [pair], "function": "none"}),
            json!({
                "inputs": [texts("text_pair", &pair[1..]), texts("text", &pair[..1])],
                "parameters": {"function": "none"},
            }),
        ),
        (
            "/tag",
            "electra-mini-chunker",
            json!({"text": pair, "aggregation": "first"}),
            json!({"inputs": [texts("text", &pair)], "parameters": {"aggregation": "first"}}),
        ),
        (
            "/qa",
            "electra-mini-qa",
            json!({"items": [{"question": question, "context": context}], "top_k": 2}),
            json!({
                "inputs": [texts("question", &[question]), texts("context", &[context])],
                "parameters": {"top_k": 2},
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_answered_as_by_the_native_routes() {
    let server = default_server();
    for (route, model, native, tensors) in both_ways() {
        let wanted = server.ask(route, &native).await;
        let answer = server.ask(&infer_path(model), &tensors).await;
        let results = output(&answer, "result").as_array().expect("a list").iter();
        let results: Vec<Value> = results
            .map(|text| serde_json::from_str(text.as_str().expect("a text")).expect("JSON"))
            .collect();
        assert_eq!(wanted["results"], Value::from(results), "{route}");
        assert_eq!(answer["model_name"], model);
        assert_eq!(answer["model_version"], "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decoded_outputs_are_the_fields_of_the_results() {
    let server = default_server();
    for (route, model, native, tensors) in both_ways() {
        let native = server.ask(route, &native).await;
        let answer = server.ask(&infer_path(model), &tensors).await;
        let (list, fields): (&str, &[&str]) = match route {
            "/discriminate" => ("words", &["word", "start", "end", "score", "fake"]),
            "/classify" => ("labels", &["label", "score"]),
            "/tag" => ("entities", &["label", "score", "start", "end", "text"]),
            _ => ("answers", &["text", "score", "start", "end"]),
        };
        let rows = native["results"].as_array().expect("results").iter();
        let rows: Vec<&Vec<Value>> = rows
            .map(|row| row[list].as_array().expect("a list"))
            .collect();
        let longest = rows.iter().map(|row| row.len()).max().expect("a row");
        for field in fields {
            let data = output(&answer, field).as_array().expect("a list");
            assert_eq!(data.len(), rows.len() * longest, "{route} {field}");
            for (row, found) in rows.iter().zip(data.chunks(longest)) {
                let wanted: Vec<&Value> = row.iter().map(|item| &item[*field]).collect();
                let (real, filling) = found.split_at(row.len());
                assert_eq!(real.iter().collect::<Vec<_>>(), wanted, "{route} {field}");
                let empty = |value: &Value| {
                    *value == json!("") || value.as_f64() == Some(0.0) || *value == json!(false)
                };
                assert!(filling.iter().all(empty), "{route} {field}: {filling:?}");
            }
        }
        if route != "/classify" {
            let counts: Vec<usize> = rows.iter().map(|row| row.len()).collect();
            assert_eq!(output(&answer, "count"), &json!(counts));
        }
    }
}

/// A request with the token ids of all sequences, padded on the right.
fn padded(sequences: &[Sequence]) -> (Value, usize) {
    let longest = sequences.iter().map(Sequence::len).max().expect("one");
    let row = |values: Vec<u32>| {
        let mut row = values;
        row.resize(longest, 0);
        row
    };
    let tensor = |name: &str, rows: Vec<Vec<u32>>| json!({"name": name, "datatype": "INT64", "shape": [rows.len(), longest], "data": rows});
    let ids = sequences.iter().map(|sequence| row(sequence.ids.clone()));
    let types = sequences.iter().map(|sequence| {
        row(sequence
            .type_ids
            .iter()
            .map(|kind| u32::from(*kind))
            .collect())
    });
    let mask = sequences
        .iter()
        .map(|sequence| row(vec![1; sequence.len()]));
    let inputs = [
        tensor("input_ids", ids.collect()),
        tensor("attention_mask", mask.collect()),
        tensor("token_type_ids", types.collect()),
    ];
    (json!({"inputs": inputs}), longest)
}

/// Requests the logits of all golden cases at once, and compares them.
async fn compare_logits(server: &Server, model: &str, goldens: &str, task: &str) {
    let (sequences, wanted): (Vec<_>, Vec<_>) = cases(goldens).into_iter().unzip();
    let (request, longest) = padded(&sequences);
    let answer = server.ask(&infer_path(model), &request).await;
    let rows = sequences.len();
    let logits: Vec<Vec<f32>> = if task == "qa" {
        let starts = floats(output(&answer, "start_logits"));
        let ends = floats(output(&answer, "end_logits"));
        let both = starts
            .iter()
            .zip(&ends)
            .flat_map(|(start, end)| [*start, *end]);
        let both: Vec<f32> = both.collect();
        both.chunks(longest * 2).map(<[f32]>::to_vec).collect()
    } else {
        let logits = floats(output(&answer, "logits"));
        logits
            .chunks(logits.len() / rows)
            .map(<[f32]>::to_vec)
            .collect()
    };
    assert_eq!(logits.len(), rows);
    for (index, (found, wanted)) in logits.iter().zip(&wanted).enumerate() {
        let (found, filling) = found.split_at(wanted.len());
        let difference = largest_difference(found, wanted);
        assert!(
            difference <= FP32_TOLERANCE,
            "{model}, case {index}: {difference} from transformers"
        );
        assert!(
            filling.iter().all(|logit| *logit == 0.0),
            "{model}, case {index}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_ids_are_answered_by_transformers_logits_in_both_layouts() {
    let server = small_server();
    for (model, task) in [
        ("discriminator-cased", "discriminate"),
        ("sequence-three-labels", "classify"),
        ("token-bio", "tag"),
        ("qa-projected", "qa"),
    ] {
        compare_logits(&server, model, model, task).await;
    }
    let server = padded_server();
    for (model, goldens, task) in [
        ("torch-discriminator", "discriminator-cased", "discriminate"),
        ("optimum-bert", "optimum-bert", "classify"),
        ("optimum-token", "token-cased", "tag"),
        ("optimum-qa", "qa-plain", "qa"),
    ] {
        compare_logits(&server, model, goldens, task).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_token_ids_have_the_logits_of_rows() {
    let server = small_server();
    let (sequences, wanted): (Vec<_>, Vec<_>) = cases("token-bio").into_iter().unzip();
    let mut starts = vec![0];
    for sequence in &sequences {
        starts.push(starts[starts.len() - 1] + sequence.len());
    }
    let ids: Vec<u32> = sequences
        .iter()
        .flat_map(|sequence| sequence.ids.clone())
        .collect();
    let types = sequences.iter().flat_map(|sequence| &sequence.type_ids);
    let types: Vec<u8> = types.copied().collect();
    let request = json!({"inputs": [
        {"name": "token_type_ids", "datatype": "INT64", "shape": [types.len()], "data": types},
        {"name": "input_ids", "datatype": "INT32", "shape": [ids.len()], "data": ids},
        {"name": "sequence_starts", "datatype": "INT64", "shape": [starts.len()], "data": starts},
    ]});
    let answer = server.ask(&infer_path("token-bio"), &request).await;
    let difference = largest_difference(&floats(output(&answer, "logits")), &wanted.concat());
    assert!(difference <= FP32_TOLERANCE, "{difference}");
}

/// A binary request's body: JSON, then raw data. Returns the length of the JSON too.
fn binary_body(document: &Value, raw: &[u8]) -> (usize, Vec<u8>) {
    let mut body = document.to_string().into_bytes();
    let length = body.len();
    body.extend_from_slice(raw);
    (length, body)
}

fn raw_strings(texts: &[&str]) -> Vec<u8> {
    let raw = |text: &&str| {
        let length = u32::try_from(text.len()).expect("short");
        [&length.to_le_bytes()[..], text.as_bytes()].concat()
    };
    texts.iter().flat_map(raw).collect()
}

fn zipped(body: &[u8], encoding: &str) -> Vec<u8> {
    let level = Compression::default();
    if encoding == "gzip" {
        let mut encoder = GzEncoder::new(Vec::new(), level);
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    } else {
        let mut encoder = ZlibEncoder::new(Vec::new(), level);
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }
}

fn unzipped(body: &[u8], encoding: &str) -> Vec<u8> {
    let mut found = Vec::new();
    if encoding == "gzip" {
        std::io::copy(&mut flate2::read::GzDecoder::new(body), &mut found).expect("gzip");
    } else {
        std::io::copy(&mut flate2::read::ZlibDecoder::new(body), &mut found).expect("zlib");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_tensors_hold_what_json_does_compressed_or_not() {
    let server = default_server();
    let words = ["It rained all day.", "é"];
    let path = infer_path("electra-mini-chunker");
    let json = server
        .ask(&path, &json!({"inputs": [texts("text", &words)]}))
        .await;
    let raw = raw_strings(&words);
    let document = json!({
        "inputs": [{
            "name": "text", "datatype": "BYTES", "shape": [2],
            "parameters": {"binary_data_size": raw.len()},
        }],
        "outputs": [
            {"name": "start", "parameters": {"binary_data": true}},
            {"name": "label", "parameters": {"binary_data": false}},
            {"name": "score"},
        ],
        "parameters": {"binary_data_output": true},
    });
    let (length, body) = binary_body(&document, &raw);
    for encoding in ["", "gzip", "deflate"] {
        let mut request = server
            .client
            .post(server.url(&path))
            .header(JSON_LENGTH, length)
            .header("content-type", "application/octet-stream");
        let sent = if encoding.is_empty() {
            body.clone()
        } else {
            request = request
                .header("content-encoding", encoding)
                .header("accept-encoding", encoding);
            zipped(&body, encoding)
        };
        let response = request.body(sent).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers().clone();
        let found = headers
            .get("content-encoding")
            .map_or("", |value| value.to_str().expect("ASCII"));
        assert_eq!(found, encoding);
        assert_eq!(headers["content-type"], "application/octet-stream");
        let mut found = response.bytes().await.expect("a body").to_vec();
        if !encoding.is_empty() {
            found = unzipped(&found, encoding);
        }
        let length: usize = headers[JSON_LENGTH]
            .to_str()
            .expect("ASCII")
            .parse()
            .expect("a length");
        let (document, raw) = found.split_at(length);
        let answer: Value = serde_json::from_slice(document).expect("JSON");
        assert_eq!(output(&answer, "label"), output(&json, "label"));
        let places = output(&json, "start").as_array().expect("a list").len();
        let sizes = answer["outputs"].as_array().expect("outputs").iter();
        let sizes: Vec<_> = sizes
            .map(|output| output["parameters"]["binary_data_size"].as_u64())
            .collect();
        assert_eq!(
            sizes,
            [Some(places as u64 * 8), None, Some(places as u64 * 4)]
        );
        let (starts, scores) = raw.split_at(places * 8);
        let starts: Vec<i64> = starts
            .chunks(8)
            .map(|bytes| i64::from_le_bytes(bytes.try_into().expect("8 bytes")))
            .collect();
        assert_eq!(&json!(starts), output(&json, "start"));
        let scores: Vec<f32> = scores
            .chunks(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
            .collect();
        assert_eq!(scores, floats(output(&json, "score")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_takes_compressed_bodies_and_only_tensors_are_answered_so() {
    let server = default_server();
    let body = json!({"text": "A warm film."}).to_string();
    let response = server
        .client
        .post(server.url("/classify"))
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .header("accept-encoding", "gzip")
        .body(zipped(body.as_bytes(), "gzip"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().get("content-encoding").is_none());
    let posted = |encoding: &str, body: Vec<u8>| {
        let request = server.post("/classify", &json!({}));
        request.header("content-encoding", encoding).body(body)
    };
    let refusal = posted("br", body.clone().into_bytes());
    server.refused(refusal, 415, "unsupported_media_type").await;
    let damaged = posted("gzip", body.into_bytes());
    server.refused(damaged, 400, "invalid_json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_grows_beyond_the_limit_is_refused() {
    let server = default_server();
    for path in ["/classify", "/v2/models/electra-mini-qa/infer"] {
        let bomb = zipped(&vec![b' '; 100 << 20], "gzip");
        assert!(bomb.len() < 200_000);
        let request = server
            .post(path, &json!({}))
            .header("content-encoding", "gzip");
        server
            .refused(request.body(bomb), 413, "body_too_large")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_have_ids_parameters_outputs_and_versions() {
    let server = default_server();
    let request = json!({
        "id": "mine",
        "inputs": [texts("text", &["A warm film."])],
        "outputs": [{"name": "score"}, {"name": "label"}],
        "parameters": {
            "top_k": 1, "priority": 1, "timeout": 20_000_000,
            // Parameters that clients of other servers add.
            "sequence_id": 7, "sequence_start": true, "headers": {"a": "b"}, "content_type": "str", "threshold_of": null,
        },
    });
    for path in [
        "/v2/models/electra-mini-sentiment/infer",
        "/v2/models/electra-mini-sentiment/versions/1/infer",
        "/v2/models/electra-mini-sentiment@1/infer",
    ] {
        let answer = server.ask(path, &request).await;
        assert_eq!(answer["id"], "mine");
        assert_eq!(answer["model_name"], "electra-mini-sentiment");
        let names = answer["outputs"].as_array().expect("outputs").iter();
        let names: Vec<_> = names
            .map(|output| (&output["name"], &output["shape"]))
            .collect();
        assert_eq!(
            names,
            [
                (&json!("score"), &json!([1, 1])),
                (&json!("label"), &json!([1, 1]))
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_has_its_status_and_code() {
    let server = default_server();
    let chunker = infer_path("electra-mini-chunker");
    let text = || json!([texts("text", &["a"])]);
    for (path, body, status, code) in [
        (
            infer_path("none"),
            json!({"inputs": text()}),
            404,
            "model_not_found",
        ),
        (
            "/v2/models/electra-mini-qa/versions/9/infer".to_owned(),
            json!({"inputs": text()}),
            404,
            "model_not_found",
        ),
        (chunker.clone(), json!({}), 422, "missing_field"),
        (chunker.clone(), json!({"inputs": []}), 422, "missing_field"),
        (
            chunker.clone(),
            json!({"inputs": text(), "input": 1}),
            422,
            "unknown_field",
        ),
        (
            chunker.clone(),
            json!({"inputs": [texts("texts", &["a"])]}),
            422,
            "unknown_field",
        ),
        (
            chunker.clone(),
            json!({"inputs": text(), "outputs": [{"name": "x"}]}),
            422,
            "unknown_field",
        ),
        (
            chunker.clone(),
            json!({"inputs": text(), "parameters": {"top_k": 1}}),
            422,
            "unknown_field",
        ),
        (
            chunker.clone(),
            json!({"inputs": text(), "parameters": {"priority": 9}}),
            422,
            "invalid_value",
        ),
        (
            chunker.clone(),
            json!({"inputs": text(), "parameters": {"offsets": 1}}),
            400,
            "invalid_type",
        ),
        (
            chunker.clone(),
            json!({"inputs": text(), "parameters": {"timeout": 1}}),
            504,
            "deadline_exceeded",
        ),
        (
            chunker.clone(),
            json!({"inputs": [texts("text", &[])]}),
            422,
            "empty_input",
        ),
        (
            chunker.clone(),
            json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a"]}]}),
            422,
            "invalid_value",
        ),
        (
            chunker.clone(),
            json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [1]}]}),
            400,
            "invalid_type",
        ),
        (chunker.clone(), json!([]), 400, "invalid_type"),
    ] {
        let error = server
            .refused(server.post(&path, &body), status, code)
            .await;
        assert!(error["error"].is_string(), "{body}: {error}");
    }
    let header = server
        .post(&chunker, &json!({"inputs": text()}))
        .header(JSON_LENGTH, 9999);
    server.refused(header, 422, "invalid_header").await;
    for path in [
        "/v2/models/none",
        "/v2/models/none/ready",
        "/v2/models/none/config",
        "/v2/models/none/stats",
    ] {
        server
            .refused(server.get(path), 404, "model_not_found")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_option_and_what_changes_the_data_are_refused() {
    let server = default_server();
    let text = texts("text", &["a"]);
    let mut shared = text.clone();
    shared["parameters"] = json!({"shared_memory_region": "r", "shared_memory_byte_size": 5});
    let mut encoded = text.clone();
    encoded["parameters"] = json!({"content_type": "base64"});
    let classes = json!([{"name": "label", "parameters": {"classification": 2}}]);
    for (body, said) in [
        (
            json!({"inputs": [text], "parameters": {"agregation": "max"}}),
            "Did you mean `aggregation`?",
        ),
        (
            json!({"inputs": [text], "parameters": {"top_k": 2}}),
            "its options are `aggregation`, `offsets`",
        ),
        (json!({"inputs": [shared]}), "shares no memory"),
        (json!({"inputs": [encoded]}), "read as plain values"),
        (
            json!({"inputs": [text], "outputs": classes}),
            "`label` and `score`",
        ),
    ] {
        let request = server.post(&infer_path("electra-mini-chunker"), &body);
        let error = server.refused(request, 422, "unknown_field").await;
        assert!(error.to_string().contains(said), "{body}: {error}");
    }
}

async fn statistics(server: &Server, path: &str) -> Value {
    let (status, report) = server.send(server.get(path)).await;
    assert_eq!(status, StatusCode::OK);
    let [model] = report["model_stats"].as_array().expect("a list").as_slice() else {
        panic!("not one model: {report}");
    };
    model.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_add_up_whichever_way_requests_come() {
    let models = repository(&["token-bio"]);
    let server = Server::start(config(models.path())).await;
    let path = "/v2/models/token-bio/stats";
    assert_eq!(statistics(&server, path).await["inference_count"], 0);
    server.ask("/tag", &json!({"text": ["a", "a b"]})).await;
    let tensors = json!({"inputs": [texts("text", &["a", "a", "b"])]});
    server.ask(&infer_path("token-bio"), &tensors).await;
    let ids = json!({"inputs": [{"name": "input_ids", "datatype": "INT64", "shape": [1, 3], "data": [4, 9, 3]}]});
    server.ask(&infer_path("token-bio"), &ids).await;
    let hurried = json!({"inputs": [texts("text", &["a"])], "parameters": {"timeout": 1}});
    let hurried = server.post(&infer_path("token-bio"), &hurried);
    server.refused(hurried, 504, "deadline_exceeded").await;
    for path in [
        path,
        "/v2/models/token-bio/versions/1/stats",
        "/v2/models/stats",
    ] {
        let model = statistics(&server, path).await;
        assert_eq!(
            (&model["name"], &model["version"]),
            (&json!("token-bio"), &json!("1"))
        );
        assert_eq!(model["inference_count"], 6);
        let requests = &model["inference_stats"];
        assert_eq!(
            (&requests["success"]["count"], &requests["fail"]["count"]),
            (&json!(3), &json!(1))
        );
        for part in ["queue", "compute_input", "compute_infer", "compute_output"] {
            assert_eq!(requests[part]["count"], 3, "{part}");
        }
        assert!(requests["compute_infer"]["ns"].as_u64() > Some(0));
        assert!(model["last_inference"].as_u64() > Some(1_600_000_000_000));
        let batches = model["batch_stats"].as_array().expect("batches").iter();
        let (mut sequences, mut runs) = (0, 0);
        for batch in batches {
            let count = batch["compute_infer"]["count"].as_u64().expect("a count");
            runs += count;
            sequences += count * batch["batch_size"].as_u64().expect("a size");
        }
        assert_eq!(
            (sequences, Some(runs)),
            (6, model["execution_count"].as_u64())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_described_listed_unloaded_and_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let chunker = default_models().join("electra-mini-chunker");
    for version in ["1", "3"] {
        copy_folder(&chunker, &folder.path().join("chunker").join(version));
    }
    copy_folder(&other_graph("optimum-bert"), &folder.path().join("bert"));
    let server = Server::start(config(folder.path())).await;
    let get = async |path: &str| {
        let (status, answer) = server.send(server.get(path)).await;
        (status.as_u16(), answer)
    };
    let (_, metadata) = get("/v2").await;
    assert_eq!(metadata["name"], "electra");
    let (_, metadata) = get("/v2/models/chunker").await;
    assert_eq!(metadata["versions"], json!(["1", "3"]));
    assert_eq!(
        metadata["inputs"][0],
        json!({"name": "text", "datatype": "BYTES", "shape": [-1, 1]})
    );
    let (_, metadata) = get("/v2/models/chunker/versions/1").await;
    assert_eq!(metadata["versions"], json!(["1"]));
    let (_, config) = get("/v2/models/chunker/config").await;
    assert_eq!(config["max_batch_size"], 256);
    for path in [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/bert/ready",
        "/v2/models/chunker/versions/3/ready",
    ] {
        assert_eq!(get(path).await.0, 200, "{path}");
    }
    let index = async |body: &Value| server.ask("/v2/repository/index", body).await;
    let ready = |name: &str, version: &str| json!({"name": name, "version": version, "state": "READY", "reason": ""});
    let all = json!([
        ready("bert", "1"),
        ready("chunker", "1"),
        ready("chunker", "3")
    ]);
    assert_eq!(index(&json!({})).await, all);
    let request = server.client.post(server.url("/v2/repository/index"));
    assert_eq!(server.send(request).await.1, all);
    let unload = json!({"parameters": {"unload_dependents": false}});
    server
        .ask("/v2/repository/models/bert/unload", &unload)
        .await;
    assert_eq!(
        index(&json!({"ready": true}))
            .await
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(
        index(&json!({"ready": false})).await[0]["state"],
        "UNAVAILABLE"
    );
    let body = json!({"inputs": [texts("text", &["a"])]});
    server
        .refused(server.get("/v2/models/bert/ready"), 503, "model_unloaded")
        .await;
    server
        .refused(
            server.post(&infer_path("bert"), &body),
            503,
            "model_unloaded",
        )
        .await;
    let load = "/v2/repository/models/bert/load";
    let refused = json!({"parameters": {"config": "{}"}});
    server
        .refused(server.post(load, &refused), 422, "invalid_value")
        .await;
    server.ask(load, &json!({})).await;
    server.ask(&infer_path("bert"), &body).await;
    let metrics = server.metrics().await;
    let counted =
        "electra_requests_total{route=\"/v2/models/{name}/infer\",model=\"bert\",code=\"200\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn loading_with_a_configuration_is_refused_and_leaves_the_model() {
    let models = repository(&["token-cased"]);
    let server = Server::start(config(models.path())).await;
    let ask = json!({"text": "fox"});
    let before = server.ask("/tag", &ask).await;
    let (_, report) = server.send(server.get("/models/token-cased")).await;
    for parameters in [
        json!({"config": "{\"max_batch_size\": 1}"}),
        json!({"config": {"max_batch_size": 1}}),
        json!({"config": "{}", "file:1/model.onnx": "AAAA"}),
    ] {
        let load = server.post(
            "/v2/repository/models/token-cased/load",
            &json!({"parameters": parameters}),
        );
        let error = server.refused(load, 422, "invalid_value").await;
        let sentence = error["error"].as_str().expect("a sentence");
        assert!(
            sentence.starts_with(
                "`parameters.config` can't be used: a model is loaded from its folder alone"
            ),
            "{sentence}"
        );
        assert!(sentence.contains("electra.toml"), "{sentence}");
    }
    let (_, after) = server.send(server.get("/models/token-cased")).await;
    assert_eq!(after, report);
    // A reloaded model would count from zero.
    let (_, statistics) = server
        .send(server.get("/v2/models/token-cased/stats"))
        .await;
    assert_eq!(statistics["model_stats"][0]["inference_count"], 1);
    assert_eq!(server.ask("/tag", &ask).await, before);
    server.ended().await.expect("a clean end");
}
