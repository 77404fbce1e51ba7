//! Checkpoints as they occur in practice: with fields missing from config.json, extra tensors, one token too many, or
//! adapters instead of models.

use std::path::Path;

use electra_server::convert::{ExportReport, export};
use electra_server::export::Precision;
use serde_json::{Map, Value, json};

use crate::export::rewrite;
use crate::harness::{
    Server, checkpoint, config, copy_folder, eventually, export_request, exported,
};

/// A changed copy of a checkpoint, and its export.
struct Changed {
    output: tempfile::TempDir,
    report: ExportReport,
}

impl Changed {
    fn of(name: &str, change: impl Fn(&Path)) -> Self {
        let (input, output) = (tempfile::tempdir(), tempfile::tempdir());
        let (input, output) = (input.expect("a folder"), output.expect("a folder"));
        copy_folder(&checkpoint(name), input.path());
        change(input.path());
        let request = export_request(input.path(), output.path(), Precision::Fp32);
        let report = export(&request).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { output, report }
    }

    /// Whether the graph equals that of the unchanged checkpoint.
    fn is_as_before(&self, name: &str) -> bool {
        let before = exported(name, Precision::Fp32);
        ["model.onnx", "model.onnx.data"].iter().all(|file| {
            let read = |folder: &Path| std::fs::read(folder.join(file)).expect("a file");
            read(self.output.path()) == read(&before)
        })
    }
}

fn edit(folder: &Path, change: impl Fn(&mut Map<String, Value>)) {
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path).expect("config.json");
    let mut entries: Map<String, Value> = serde_json::from_str(&text).expect("JSON");
    change(&mut entries);
    std::fs::write(path, Value::Object(entries).to_string()).expect("a file");
}

/// Adds a tensor to a checkpoint's weights.
fn add_tensor(folder: &Path, name: &str) {
    use safetensors::tensor::{Dtype, TensorView};
    let path = folder.join("model.safetensors");
    let bytes = std::fs::read(&path).expect("weights");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let zeros = [0; 16];
    let added = TensorView::new(Dtype::F32, vec![2, 2], &zeros).expect("a tensor");
    let views = tensors.iter().chain([(name, added)]);
    let written = safetensors::serialize(views, None).expect("safetensors");
    std::fs::write(path, written).expect("a file");
}

#[test]
fn what_config_json_leaves_out_is_told_by_the_tensors() {
    for name in [
        "discriminator-cased",
        "sequence-cross-encoder",
        "token-bio",
        "qa-projected",
    ] {
        let changed = Changed::of(name, |folder| {
            edit(folder, |entries| {
                // No tensor tells the number of attention heads.
                entries.retain(|key, _| {
                    ["architectures", "num_attention_heads", "id2label"].contains(&key.as_str())
                });
            });
        });
        assert!(changed.is_as_before(name), "{name}");
        // The exported config.json is complete, so that the engine recognises the graph.
        let read = |folder: &Path| -> Value {
            let text = std::fs::read_to_string(folder.join("config.json")).expect("a file");
            serde_json::from_str(&text).expect("JSON")
        };
        let (written, before) = (
            read(changed.output.path()),
            read(&exported(name, Precision::Fp32)),
        );
        for key in [
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "max_position_embeddings",
        ] {
            assert_eq!(written[key], before[key], "{name}: {key}");
        }
    }
}

/// Export and server read config.json alike: a graph's folder without `max_position_embeddings` is served too.
#[tokio::test(flavor = "multi_thread")]
async fn a_graph_is_served_with_what_its_config_json_leaves_out() {
    let models = tempfile::tempdir().expect("a folder");
    for (name, key) in [
        ("positions", "max_position_embeddings"),
        ("types", "type_vocab_size"),
        ("words", "vocab_size"),
    ] {
        let folder = models.path().join(name);
        copy_folder(&exported("sequence-three-labels", Precision::Fp32), &folder);
        edit(&folder, |entries| {
            entries.remove(key);
            entries.insert("id2label".to_owned(), json!({"0": 0, "1": true, "2": null}));
        });
    }
    let server = Server::start(config(models.path())).await;
    for name in ["positions", "types", "words"] {
        let answer = server
            .ask("/classify", &json!({"text": "a", "model": name}))
            .await;
        let mut labels: Vec<_> = answer["results"][0]["labels"]
            .as_array()
            .expect("labels")
            .iter()
            .map(|label| label["label"].as_str().expect("a name"))
            .collect();
        labels.sort_unstable();
        assert_eq!(labels, ["0", "LABEL_2", "true"], "{answer}");
    }
}

#[test]
fn tensors_that_the_graph_has_no_use_for_are_named() {
    let changed = Changed::of("token-bio", |folder| add_tensor(folder, "crf.transitions"));
    assert!(changed.is_as_before("token-bio"));
    assert_eq!(changed.report.exported.unused, ["crf.transitions"]);
    let sentence = changed
        .report
        .exported
        .unused_tensors()
        .expect("a sentence");
    assert!(
        sentence.contains("1 tensor") && sentence.contains("`crf.transitions`"),
        "{sentence}"
    );
    // If a file has two sets of weights, one is read, and the report lists the other as unused.
    let wrapped = "_orig_mod.electra.embeddings.LayerNorm.weight";
    let twice = Changed::of("token-bio", |folder| add_tensor(folder, wrapped));
    assert!(twice.is_as_before("token-bio"));
    assert_eq!(twice.report.exported.unused, [wrapped]);
    // A buffer of old checkpoints is not reported as unused.
    let none = Changed::of("discriminator-legacy-keys", |_| ());
    assert!(
        none.report.exported.unused.is_empty(),
        "{:?}",
        none.report.exported.unused
    );
}

/// For unsupported heads and adapters, the model's error says what it is, and other models are served.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_served_says_what_it_is() {
    let models = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| {
        let folder = models.path().join(name);
        copy_folder(&checkpoint("discriminator-plain"), &folder);
        folder
    };
    let discriminator = "discriminator_predictions.";
    rewrite(&folder("generator"), |name, shape, data| {
        (!name.starts_with(discriminator)).then_some((shape, data))
    });
    add_tensor(
        &models.path().join("generator"),
        "generator_predictions.dense.weight",
    );
    edit(&models.path().join("generator"), |entries| {
        entries.insert("architectures".to_owned(), json!(["ElectraForMaskedLM"]));
    });
    rewrite(&folder("choice"), |name, shape, data| {
        (!name.starts_with(discriminator)).then_some((shape, data))
    });
    for tensor in ["sequence_summary.summary.weight", "classifier.weight"] {
        add_tensor(&models.path().join("choice"), tensor);
    }
    edit(&models.path().join("choice"), |entries| {
        entries.insert(
            "architectures".to_owned(),
            json!(["ElectraForMultipleChoice"]),
        );
    });
    let adapter = folder("adapter");
    for file in ["model.safetensors", "config.json"] {
        std::fs::remove_file(adapter.join(file)).expect("a file");
    }
    let adapter_config = json!({"peft_type": "LORA", "task_type": "TOKEN_CLS",
        "base_model_name_or_path": "google/electra-base-discriminator"});
    std::fs::write(
        adapter.join("adapter_config.json"),
        adapter_config.to_string(),
    )
    .expect("a file");
    std::fs::write(adapter.join("adapter_model.safetensors"), "").expect("a file");
    folder("good");

    let server = Server::start_unready(config(models.path())).await;
    let good = json!({"text": "a", "model": "good"});
    eventually("`good` answers", async || {
        let answer = server.send(server.post("/discriminate", &good)).await;
        (answer.0 == 200).then_some(())
    })
    .await;
    for (name, expected) in [
        ("generator", &["generator", "can't be served"][..]),
        ("choice", &["multiple choice", "can't be served"]),
        (
            "adapter",
            &[
                "PEFT adapter (LORA)",
                "`google/electra-base-discriminator`",
                "merge_and_unload",
                "TokenClassification",
            ],
        ),
    ] {
        let model = async || server.send(server.get(&format!("/models/{name}"))).await.1;
        let model = eventually("loading fails", async || {
            let model = model().await;
            (model["state"] == "failed").then_some(model)
        });
        let reason = model.await.to_string();
        for part in expected {
            assert!(reason.contains(part), "{part:?} is not in {reason}");
        }
    }
}

/// With one added token that the model was not trained with, the model is served, and that token becomes the unknown
/// token.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_row_is_the_unknown_one() {
    let models = tempfile::tempdir().expect("a folder");
    let folder = models.path().join("grown");
    copy_folder(&checkpoint("discriminator-plain"), &folder);
    let path = folder.join("tokenizer.json");
    let text = std::fs::read_to_string(&path).expect("a file");
    let mut definition: Value = serde_json::from_str(&text).expect("JSON");
    let rows = definition["model"]["vocab"]
        .as_object()
        .expect("a vocabulary")
        .len();
    let added = json!({"id": rows, "content": "<new>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true});
    definition["added_tokens"]
        .as_array_mut()
        .expect("a list")
        .push(added);
    std::fs::write(&path, definition.to_string()).expect("a file");
    copy_folder(
        &checkpoint("discriminator-plain"),
        &models.path().join("plain"),
    );

    let server = Server::start(config(models.path())).await;
    let scores = async |model: &str, text: &str| {
        let answer = server
            .ask("/discriminate", &json!({"text": text, "model": model}))
            .await;
        let tokens = answer["results"][0]["tokens"]
            .as_array()
            .expect("tokens")
            .clone();
        tokens
            .iter()
            .map(|token| token["score"].clone())
            .collect::<Vec<_>>()
    };
    let unknown = scores("plain", "the [UNK] fox").await;
    assert_eq!(scores("grown", "the <new> fox").await, unknown);
    assert_ne!(scores("plain", "the <new> fox").await, unknown);
    // Token ids sent by clients must have an embedding.
    let tensors = json!({"inputs": [{"name": "input_ids", "datatype": "INT64", "shape": [1, 3], "data": [4, rows, 3]}]});
    let error = server
        .refused(
            server.post("/v2/models/grown/infer", &tensors),
            422,
            "invalid_value",
        )
        .await;
    assert!(
        error["error"].to_string().contains(&rows.to_string()),
        "{error}"
    );
}
