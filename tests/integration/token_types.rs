//! Models with more or fewer token types than the usual two: known types are accepted, and others refused by name.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{TensorView, serialize};
use serde_json::{Value, json};

use crate::harness::{Server, checkpoint, config, copy_folder, other_graph};

const TYPES: &str = "electra.embeddings.token_type_embeddings.weight";

/// Writes a checkpoint with `types` token types, each with an embedding of its own.
fn write_checkpoint(folder: &Path, original: &str, types: usize) {
    copy_folder(&checkpoint(original), folder);
    declare(folder, types);
    let weights = folder.join("model.safetensors");
    let bytes = std::fs::read(&weights).expect("weights");
    let tensors = SafeTensors::deserialize(&bytes).expect("weights");
    let known = tensors.tensor(TYPES).expect("token types");
    let (count, width) = (known.shape()[0], known.shape()[1]);
    // Both existing embeddings, then the reversed second one for each further type.
    let row = known.data().len() / count;
    let other: Vec<u8> = known.data()[row..]
        .chunks(4)
        .rev()
        .flatten()
        .copied()
        .collect();
    let mut data = known.data().to_vec();
    data.extend(other.repeat(types.saturating_sub(count)));
    data.truncate(types * row);
    let changed = TensorView::new(known.dtype(), vec![types, width], &data).expect("a tensor");
    let mut all = tensors.tensors();
    all.retain(|(name, _)| name != TYPES);
    all.push((TYPES.to_owned(), changed));
    let written = serialize(all, None).expect("weights");
    std::fs::write(weights, written).expect("weights");
}

fn declare(folder: &Path, types: usize) {
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path).expect("config.json");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["type_vocab_size"] = types.into();
    std::fs::write(path, config.to_string()).expect("config.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_own_token_types_are_taken_and_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    write_checkpoint(&folder.path().join("one"), "discriminator-plain", 1);
    write_checkpoint(&folder.path().join("three"), "discriminator-plain", 3);
    let padded = folder.path().join("padded-one");
    copy_folder(&other_graph("torch-discriminator"), &padded);
    declare(&padded, 1);
    let server = Server::start(config(folder.path())).await;
    let rows = |kind: i64| {
        let tensor = |name: &str, data: [i64; 3]| json!({"name": name, "datatype": "INT64", "shape": [1, 3], "data": data});
        json!({"inputs": [tensor("input_ids", [2, 4, 3]), tensor("token_type_ids", [0, kind, 0])]})
    };
    let packed = |kind: i64| {
        let tensor = |name: &str, data: &[i64]| json!({"name": name, "datatype": "INT64", "shape": [data.len()], "data": data});
        let ids = tensor("input_ids", &[2, 4, 3]);
        let starts = tensor("sequence_starts", &[0, 3]);
        json!({"inputs": [ids, starts, tensor("token_type_ids", &[0, kind, 0])]})
    };
    for (model, most) in [("one", 0), ("three", 2), ("padded-one", 0)] {
        let path = format!("/v2/models/{model}/infer");
        let mut answers = Vec::new();
        for kind in 0..=most {
            let answer = server.ask(&path, &rows(kind)).await;
            assert_eq!(
                answer["outputs"][0]["data"],
                server.ask(&path, &packed(kind)).await["outputs"][0]["data"]
            );
            assert!(
                !answers.contains(&answer),
                "{model}: type {kind} is as another"
            );
            answers.push(answer);
        }
        for wrong in [most + 1, 256, -1] {
            for (request, place) in [(rows(wrong), "[0, 1]"), (packed(wrong), "[1]")] {
                let request = server.post(&path, &request);
                let error = server.refused(request, 422, "invalid_value").await;
                let expected = format!(
                    "`token_type_ids{place}` can't be used: it is {wrong}, and the model's token types go from 0 to {most}."
                );
                assert_eq!(error["error"], expected, "{model}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_one_token_type_takes_no_pairs() {
    let folder = tempfile::tempdir().expect("a folder");
    write_checkpoint(&folder.path().join("one"), "sequence-three-labels", 1);
    let server = Server::start(config(folder.path())).await;
    server.ask("/classify", &json!({"text": "a fox"})).await;
    let pair = server.post("/classify", &json!({"text": [["a fox", "a dog"]]}));
    let error = server.refused(pair, 422, "invalid_value").await;
    let sentence = error["error"].as_str().expect("a sentence");
    assert!(sentence.contains("type_vocab_size"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_reads_no_token_types_takes_pairs_whatever_its_config_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("distilbert");
    copy_folder(&other_graph("optimum-distilbert"), &model);
    declare(&model, 1);
    let server = Server::start(config(folder.path())).await;
    let pair = json!({"question": "a fox", "context": "a dog"});
    assert!(server.ask("/qa", &pair).await["results"][0].is_object());
}
