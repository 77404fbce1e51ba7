//! Graphs of other exporters: they answer as the same checkpoint's own export, and unusable ones are refused.

use std::path::Path;
use std::sync::OnceLock;

use electra_server::engine::{Layout, Precision};
use electra_server::onnx;
use prost::Message as _;
use serde_json::{Value, json};

use crate::batching;
use crate::harness::{
    Addresses, Server, config, copy_folder, electra, eventually, other_graph, project, run_forever,
    small_server, stderr,
};
use crate::parity::{
    FP32_BATCH_TOLERANCE, FP32_TOLERANCE, alone, cases, largest_difference, load, logits, try_load,
};

/// A graph of `tests/golden/graphs` that can be served.
struct Served {
    name: &'static str,
    /// The checkpoint whose answers it must equal, if the suite has it.
    checkpoint: Option<&'static str>,
    precision: Precision,
    task: &'static str,
}

const fn served(
    name: &'static str,
    checkpoint: Option<&'static str>,
    precision: Precision,
    task: &'static str,
) -> Served {
    Served {
        name,
        checkpoint,
        precision,
        task,
    }
}

const CASED: Option<&str> = Some("discriminator-cased");
const REGRESSION: Option<&str> = Some("sequence-regression");

const SERVED: [Served; 9] = [
    served("optimum-bert", None, Precision::Fp32, "classify"),
    served("optimum-distilbert", None, Precision::Fp32, "qa"),
    served("optimum-qa", Some("qa-plain"), Precision::Fp32, "qa"),
    served("optimum-sequence", REGRESSION, Precision::Fp32, "classify"),
    served(
        "optimum-sequence-int8",
        REGRESSION,
        Precision::Int8,
        "classify",
    ),
    served("optimum-token", Some("token-cased"), Precision::Fp32, "tag"),
    served(
        "torch-discriminator",
        CASED,
        Precision::Fp32,
        "discriminate",
    ),
    served(
        "torch-discriminator-fp16",
        CASED,
        Precision::Fp16,
        "discriminate",
    ),
    served(
        "torch-discriminator-int32",
        CASED,
        Precision::Fp32,
        "discriminate",
    ),
];

/// A graph that is refused.
const HEADLESS: &str = "optimum-headless";

/// A server with all graphs that can be served, shared by the tests here.
pub fn padded_server() -> Server {
    static ADDRESSES: OnceLock<Addresses> = OnceLock::new();
    let addresses = *ADDRESSES.get_or_init(|| {
        let folder = Box::leak(Box::new(tempfile::tempdir().expect("a folder")));
        for served in &SERVED {
            copy_folder(&other_graph(served.name), &folder.path().join(served.name));
        }
        run_forever(config(folder.path()))
    });
    Server::at(addresses)
}

#[test]
fn every_graph_is_tested() {
    let folder = std::fs::read_dir(project().join("tests/golden/graphs")).expect("a folder");
    let names = folder.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    let mut tested: Vec<&str> = SERVED.iter().map(|served| served.name).collect();
    tested.push(HEADLESS);
    tested.sort_unstable();
    assert_eq!(names, tested);
}

#[test]
fn fp32_logits_equal_transformers_whatever_the_batch() {
    for served in SERVED
        .iter()
        .filter(|served| served.precision == Precision::Fp32)
    {
        let graph = load(&other_graph(served.name));
        assert_eq!(
            (graph.layout(), graph.precision()),
            (Layout::Padded, Precision::Fp32)
        );
        let cases = cases(served.checkpoint.unwrap_or(served.name));
        let computed = logits(&graph, &cases, FP32_BATCH_TOLERANCE, served.name);
        for (index, ((_, wanted), computed)) in cases.iter().zip(&computed).enumerate() {
            let difference = largest_difference(computed, wanted);
            assert!(
                difference <= FP32_TOLERANCE,
                "{}, case {index}: {difference} from transformers",
                served.name
            );
        }
    }
}

/// Rounding to few bits amplifies differences in the last digit, which processors may have. So nearly all cases must be
/// equal, and all must be close.
#[test]
fn fp16_and_int8_logits_equal_those_of_onnxruntime_in_python() {
    for served in SERVED
        .iter()
        .filter(|served| served.precision != Precision::Fp32)
    {
        let graph = load(&other_graph(served.name));
        assert_eq!(
            (graph.layout(), graph.precision()),
            (Layout::Padded, served.precision)
        );
        let cases = cases(served.name);
        let computed = alone(&graph, &cases);
        let pairs = cases.iter().zip(&computed);
        let differences = pairs.map(|((_, wanted), computed)| largest_difference(computed, wanted));
        let differences: Vec<f32> = differences.collect();
        let same = differences.iter().filter(|difference| **difference <= 1e-4);
        assert!(
            same.count() * 10 >= cases.len() * 9,
            "{}: {differences:?}",
            served.name
        );
        assert!(
            differences.iter().all(|difference| *difference < 0.02),
            "{differences:?}"
        );
    }
}

/// Compares two answers, with a tolerance for numbers. Ignores `model`.
fn assert_same(found: &Value, wanted: &Value, tolerance: f64, what: &str) {
    match (found, wanted) {
        (Value::Object(left), Value::Object(right)) => {
            let keys =
                |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(left), keys(right), "{what}");
            for (key, left) in left.iter().filter(|(key, _)| *key != "model") {
                assert_same(left, &right[key], tolerance, what);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len(), "{what}");
            for (left, right) in left.iter().zip(right) {
                assert_same(left, right, tolerance, what);
            }
        }
        (Value::Number(left), Value::Number(right)) => {
            let difference = left.as_f64().expect("a number") - right.as_f64().expect("a number");
            assert!(
                difference.abs() <= tolerance,
                "{what}: {found} instead of {wanted}"
            );
        }
        _ => assert_eq!(found, wanted, "{what}"),
    }
}

/// Requests to a task's route: short, longer than the model's maximum, and several at once.
fn requests(task: &str) -> Vec<Value> {
    let long = "The fox the fox, a. e o t n s r i d ".repeat(20);
    match task {
        "classify" => vec![
            json!({"text": ["a good film", "the river", "t"], "function": "none"}),
            json!({"text": [["who is the fox?", "the quick brown fox"], ["a", "b"]], "function": "none"}),
            json!({"text": long, "truncate": true, "function": "none"}),
        ],
        "qa" => vec![
            json!({"question": "Who is the fox?", "context": long, "top_k": 3}),
            json!({"items": [{"question": "a", "context": "the"}, {"question": "the fox", "context": "a e o t"}]}),
        ],
        "tag" => vec![
            json!({"text": ["The fox", long, "a"], "aggregation": "none"}),
            json!({"text": "The fox. the é 한국어", "aggregation": "first"}),
        ],
        _ => vec![
            json!({"text": ["The fox", long, "a", "é 한국어"]}),
            json!({"text": "The fox tastes.", "level": "word"}),
        ],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_same_checkpoints_own_export() {
    let (padded, packed) = (padded_server(), small_server());
    for served in &SERVED {
        let tolerance = match served.precision {
            Precision::Fp32 => 1e-4,
            Precision::Fp16 => 0.02,
            Precision::Int8 => 0.5,
        };
        for mut body in requests(served.task) {
            let path = format!("/{}", served.task);
            body["model"] = json!(served.name);
            let found = padded.ask(&path, &body).await;
            assert_eq!(found["model"], served.name);
            let Some(checkpoint) = served.checkpoint else {
                continue;
            };
            body["model"] = json!(checkpoint);
            let wanted = packed.ask(&path, &body).await;
            let (found, wanted) = if served.precision == Precision::Int8 {
                // Labels are ordered by score, and scores may differ slightly.
                (by_label(found), by_label(wanted))
            } else {
                (found, wanted)
            };
            assert_same(
                &found,
                &wanted,
                tolerance,
                &format!("{} {body}", served.name),
            );
        }
    }
}

/// The answer with each result's labels in alphabetical order.
fn by_label(mut answer: Value) -> Value {
    for result in answer["results"].as_array_mut().expect("results") {
        let labels = result["labels"].as_array_mut().expect("labels");
        labels.sort_by_key(|label| label["label"].to_string());
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_do_not_depend_on_the_batch() {
    let server = padded_server();
    let model = |name: &str| json!({"model": name, "truncate": true});
    let tokens = json!({"model": "torch-discriminator-int32"});
    batching::check(&server, "/discriminate", tokens, "tokens", 1e-5).await;
    batching::check(&server, "/classify", model("optimum-bert"), "labels", 1e-5).await;
    batching::check(
        &server,
        "/classify",
        model("optimum-sequence"),
        "labels",
        1e-5,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_say_what_they_are() {
    let server = padded_server();
    for served in &SERVED {
        let report: Value = server
            .send(server.get(&format!("/models/{}", served.name)))
            .await
            .1;
        for (field, wanted) in [
            ("layout", "padded"),
            ("state", "ready"),
            ("task", served.task),
            ("precision", &served.precision.to_string()),
        ] {
            assert_eq!(report[field], wanted, "{}: {report}", served.name);
        }
    }
}

/// A changed copy of a graph's folder.
fn changed(name: &str, change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join(name);
    copy_folder(&other_graph(name), &copy);
    change(&copy);
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_no_config_names_are_told_from_the_graph() {
    let all = tempfile::tempdir().expect("a folder");
    let concluded = [
        "optimum-qa",
        "optimum-sequence",
        "optimum-token",
        "torch-discriminator",
    ];
    for name in concluded.iter().chain(&["torch-discriminator-int32"]) {
        copy_folder(&other_graph(name), &all.path().join(name));
        let path = all.path().join(name).join("config.json");
        let text = std::fs::read_to_string(&path).expect("config.json");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        config
            .as_object_mut()
            .expect("an object")
            .remove("architectures");
        std::fs::write(path, config.to_string()).expect("a file");
    }
    // Its output is not named logits, so the task is unknown.
    let untold = all.path().join("torch-discriminator-int32");
    std::fs::rename(&untold, all.path().join("untold")).expect("a folder");
    let server = Server::start_unready(config(all.path())).await;
    let mut states = Vec::new();
    for name in concluded.iter().chain(&["untold"]) {
        let report = loaded(&server, name).await;
        states.push((report["state"].clone(), report["task"].clone()));
        if let Some(reason) = report["reason"].as_str() {
            assert!(reason.contains("electra.toml"), "{reason}");
        }
    }
    let ready = ["qa", "classify", "tag", "discriminate"].map(|task| (json!("ready"), json!(task)));
    assert_eq!(states[..4], ready);
    assert_eq!(states[4].0, "failed");
    server.ended().await.expect("a clean end");
}

/// The server's report on a model that has finished loading.
async fn loaded(server: &Server, name: &str) -> Value {
    eventually("the model is no longer loading", async || {
        let (_, report) = server.send(server.get(&format!("/models/{name}"))).await;
        (report["state"] != "loading").then_some(report)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_without_a_head_is_refused_with_the_way_out() {
    let folder = changed(HEADLESS, |_| ());
    let server = Server::start_unready(config(folder.path())).await;
    let report = loaded(&server, HEADLESS).await;
    let reason = report["reason"].as_str().expect("a reason");
    for words in ["it has no head", "`last_hidden_state`", "electra export"] {
        assert!(reason.contains(words), "{reason}");
    }
    server.ended().await.expect("a clean end");
}

#[test]
fn the_benchmark_says_that_it_wants_an_export() {
    let folder = changed("optimum-token", |_| ());
    let models = folder.path().to_str().expect("UTF-8");
    let output = electra(&["bench", "optimum-token", "--models", models]).output();
    let error = stderr(&output.expect("a process"));
    assert!(
        error.contains("was not written by `electra export`"),
        "{error}"
    );
}

/// The error for a graph whose protobuf was changed.
fn refusal(change: impl FnOnce(&mut onnx::Graph)) -> String {
    let name = "torch-discriminator";
    let folder = changed(name, |folder| {
        let path = folder.join("model.onnx");
        let bytes = std::fs::read(&path).expect("a graph");
        let mut model = onnx::Model::decode(bytes.as_slice()).expect("a graph");
        change(model.graph.as_mut().expect("a graph"));
        std::fs::write(path, model.encode_to_vec()).expect("a file");
    });
    refused(&folder.path().join(name))
}

/// The error for a folder's graph.
fn refused(folder: &Path) -> String {
    match try_load(folder) {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.to_string(),
    }
}

fn rename(graph: &mut onnx::Graph, from: &str, to: &str) {
    let inputs = graph
        .node
        .iter_mut()
        .flat_map(|node| node.input.iter_mut().chain(&mut node.output));
    for name in inputs.filter(|name| *name == from) {
        to.clone_into(name);
    }
    let values = graph.input.iter_mut().chain(&mut graph.output);
    for value in values.filter(|value| value.name == from) {
        to.clone_into(&mut value.name);
    }
}

/// Fixes a dimension of the graph's inputs.
fn fix(graph: &mut onnx::Graph, dimension: usize, size: i64) {
    for input in &mut graph.input {
        let shape = input
            .r#type
            .as_mut()
            .and_then(|kind| kind.tensor_type.as_mut());
        let shape = shape
            .and_then(|tensor| tensor.shape.as_mut())
            .expect("a shape");
        shape.dim[dimension].value = Some(onnx::DimensionValue::DimValue(size));
    }
}

#[test]
fn graphs_that_can_not_be_fed_or_read_are_refused_by_name() {
    let check = |change: &dyn Fn(&mut onnx::Graph), expected: &str| {
        let reason = refusal(|graph| change(graph));
        assert!(reason.contains(expected), "{reason}");
    };
    check(
        &|graph| rename(graph, "token_type_ids", "pixel_values"),
        "it needs the input `pixel_values`",
    );
    check(
        &|graph| rename(graph, "attention_mask", "mask"),
        "it needs the input `mask`",
    );
    check(
        &|graph| rename(graph, "logits", "end_logits"),
        "its outputs are `end_logits`, and none",
    );
    check(
        &|graph| fix(graph, 0, 1),
        "`input_ids` has the shape [1, -1]",
    );
    check(
        &|graph| fix(graph, 1, 32),
        "`input_ids` has the shape [-1, 32]",
    );
    let shorten = |graph: &mut onnx::Graph| {
        let largest = graph
            .initializer
            .iter_mut()
            .max_by_key(|tensor| tensor.raw_data.len());
        largest.expect("a tensor").raw_data.pop();
    };
    check(&shorten, "bytes, and its shape");
    let enlarge = |graph: &mut onnx::Graph| {
        let largest = graph
            .initializer
            .iter_mut()
            .max_by_key(|tensor| tensor.raw_data.len());
        largest.expect("a tensor").dims = vec![i64::MAX, i64::MAX];
    };
    check(&enlarge, "impossible shape");
    let point_elsewhere = |graph: &mut onnx::Graph| {
        let tensor = graph.initializer.first_mut().expect("a tensor");
        tensor.data_location = onnx::DataLocation::External.into();
        tensor.external_data = vec![onnx::StringEntry {
            key: "location".to_owned(),
            value: "../../etc/passwd".to_owned(),
        }];
    };
    check(&point_elsewhere, "is not in the graph's folder");
}

#[test]
fn damaged_files_are_refused() {
    let name = "torch-discriminator-int32";
    let check = |change: &dyn Fn(&Path), expected: &str| {
        let folder = changed(name, change);
        let reason = refused(&folder.path().join(name));
        assert!(reason.contains(expected), "{reason}");
    };
    let graph = |folder: &Path| folder.join("model.onnx");
    let data = |folder: &Path| folder.join("model.onnx_data");
    let keep = |path: &Path, share: usize| {
        let bytes = std::fs::read(path).expect("a file");
        std::fs::write(path, &bytes[..bytes.len() * share / 100]).expect("a file");
    };
    for share in [1, 10, 50, 99] {
        check(
            &|folder| keep(&graph(folder), share),
            "model.onnx can't be loaded",
        );
    }
    check(&|folder| keep(&graph(folder), 0), "it has no operators");
    check(
        &|folder| std::fs::write(graph(folder), "version https://git-lfs").expect("a file"),
        "it is not an ONNX graph",
    );
    check(&|folder| keep(&data(folder), 50), "the file is too short");
    check(
        &|folder| std::fs::remove_file(data(folder)).expect("a file"),
        "model.onnx_data",
    );
}
