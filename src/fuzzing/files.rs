//! Files of models and of the configuration, each alone and as part of a checkpoint.

use std::path::Path;

use crate::config::{SettingArguments, resolve};
use crate::convert::{ExportOptions, ExportRequest, export};
use crate::engine::{Device, EngineOptions, Graph, testing};
use crate::export::checkpoint::Checkpoint;
use crate::export::{DATA_FILE, GRAPH_FILE, Precision, PrecisionChoice};
use crate::inference::{Cores, Model, Sequence};
use crate::model_config::{CONFIG_FILE, ModelConfig};
use crate::model_folder::ModelSettings;
use crate::text::Tokenizer;

/// The files of a small checkpoint.
const CHECKPOINT: &[(&str, &[u8])] = &[
    (
        CONFIG_FILE,
        include_bytes!("../../tests/fuzz/models/checkpoint/config.json"),
    ),
    (
        "model.safetensors",
        include_bytes!("../../tests/fuzz/models/checkpoint/model.safetensors"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../../tests/fuzz/models/checkpoint/tokenizer.json"),
    ),
];

/// The files beside a small graph.
const BESIDE_GRAPH: &[(&str, &[u8])] = &[
    (
        CONFIG_FILE,
        include_bytes!("../../tests/fuzz/models/graph/config.json"),
    ),
    (
        DATA_FILE,
        include_bytes!("../../tests/fuzz/models/graph/model.onnx.data"),
    ),
];

/// A folder that is deleted with the input.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).expect("a file");
}

fn put_all(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        put(folder, name, bytes);
    }
}

/// config.json.
pub fn config(bytes: &[u8]) {
    let folder = folder();
    put(folder.path(), CONFIG_FILE, bytes);
    if let Ok(config) = ModelConfig::from_folder(folder.path()) {
        let _ = config.shape();
    }
}

/// tokenizer.json or, if the first byte is no brace, vocab.txt; then a text.
pub fn tokenizer(bytes: &[u8]) {
    let folder = folder();
    let name = match bytes.first() {
        Some(b'{') => "tokenizer.json",
        _ => "vocab.txt",
    };
    put(folder.path(), name, bytes);
    if let Ok(tokenizer) = Tokenizer::from_folder(folder.path()) {
        let rows = tokenizer.vocabulary_size().div_ceil(2);
        let text = "The foxes' naïve 東京 \u{1f98a}, [SEP] the fake [MASK]\u{301}.\r\n\0\u{ad}";
        for text in [text, "", "fox"] {
            let _ = tokenizer.tokenize(text);
        }
        let _ = (tokenizer.to_json(), tokenizer.config_json(512));
        if let Ok(tokenizer) = tokenizer.for_rows(rows) {
            let _ = tokenizer.tokenize(text);
        }
    }
}

/// model.safetensors: the table of tensors, and all values.
pub fn safetensors(bytes: &[u8]) {
    weights("model.safetensors", bytes);
}

/// A `pytorch_model.bin`, of either kind.
pub fn torch(bytes: &[u8]) {
    weights("pytorch_model.bin", bytes);
}

fn weights(name: &str, bytes: &[u8]) {
    let folder = folder();
    put(folder.path(), name, bytes);
    let Ok(mut checkpoint) = Checkpoint::open(folder.path()) else {
        return;
    };
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    for name in names {
        let _ = checkpoint.shape(&name);
        let _ = checkpoint.read(&name);
    }
}

/// A small checkpoint, with one file replaced by the bytes after the first, which selects the file and the precision.
/// Exports it.
pub fn checkpoint(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = folder();
    put_all(folder.path(), CHECKPOINT);
    let name = match first {
        b'c' => CONFIG_FILE,
        b't' => "tokenizer.json",
        b'g' => "tokenizer_config.json",
        b'm' => "special_tokens_map.json",
        b'a' => "added_tokens.json",
        b'i' => "model.safetensors.index.json",
        b'b' => "pytorch_model.bin",
        b'j' => "pytorch_model.bin.index.json",
        b'l' => "adapter_config.json",
        _ => "model.safetensors",
    };
    if matches!(name, "pytorch_model.bin" | "model.safetensors.index.json") {
        let usual = folder.path().join("model.safetensors");
        std::fs::rename(usual, folder.path().join("shard.safetensors")).expect("another name");
    }
    put(folder.path(), name, bytes);
    let precision = if first.is_ascii_uppercase() {
        Precision::Fp16
    } else {
        Precision::Fp32
    };
    let output = folder.path().join("output");
    let _ = export(&ExportRequest {
        checkpoint: folder.path().to_owned(),
        output: output.clone(),
        options: ExportOptions {
            precision: PrecisionChoice::Fixed(precision),
            device: Device::Cpu,
            ..ExportOptions::default()
        },
    });
    let _ = crate::export::export_graph(folder.path(), folder.path(), Precision::Int8, None);
}

/// model.onnx, up to where ONNX Runtime would be needed.
pub fn onnx(bytes: &[u8]) {
    let folder = folder();
    put_all(folder.path(), BESIDE_GRAPH);
    put(folder.path(), GRAPH_FILE, bytes);
    crate::engine::testing::describe(&folder.path().join(GRAPH_FILE));
}

/// model.onnx, loaded and run by ONNX Runtime. Does nothing if there is none.
pub fn graph(bytes: &[u8]) {
    let Some(runtime) = testing::runtime() else {
        return;
    };
    let folder = folder();
    put_all(folder.path(), BESIDE_GRAPH);
    put(folder.path(), GRAPH_FILE, bytes);
    let options = EngineOptions {
        device: Device::Cpu,
        sessions: std::num::NonZeroUsize::MIN,
    };
    let Ok(graph) = Graph::load(&runtime, &folder.path().join(GRAPH_FILE), &options) else {
        return;
    };
    let _ = (graph.task(), graph.output_width(), graph.output_rows());
    let sequence = |ids: &[u32]| Sequence {
        ids: ids.to_vec(),
        type_ids: vec![0; ids.len()],
    };
    let (long, short) = (sequence(&[2, 6, 7, 3]), sequence(&[2, 3]));
    let _ = graph.run(&[&long, &short], Cores::One);
    let _ = graph.release_memory(&short);
}

/// electra.toml, and the same as the server's own file.
pub fn toml(bytes: &[u8]) {
    let folder = folder();
    put(folder.path(), "electra.toml", bytes);
    let _ = ModelSettings::read(&[folder.path()]);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = resolve(&SettingArguments::default(), |_| None, Some(("file", text)));
    }
}
