//! Counts a graph's sessions and the copies of its weights.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use ort::value::Tensor;
use prost::Message as _;

use super::*;
use crate::engine::Precision;
use crate::engine::description::Description;
use crate::engine::detach::{self, Detached};
use crate::engine::shared_weights::SharedWeights;
use crate::engine::testing::{ExportedGraph, other_graph, runtime};
use crate::engine::weights::{read_external, read_linear};
use crate::onnx;

fn idle(pool: &SessionPool) -> usize {
    pool.idle.lock().unwrap().len()
}

/// A graph and its weights, as loaded.
struct Read {
    runtime: Runtime,
    path: PathBuf,
    bytes: Vec<u8>,
    weights: Vec<SharedWeight>,
}

impl Read {
    fn of(runtime: &Runtime, path: &Path) -> Self {
        Self::with(runtime, path, &SharedWeights::default())
    }

    fn with(runtime: &Runtime, path: &Path, in_use: &SharedWeights) -> Self {
        let Detached { bytes, path } = detach::read(path).unwrap();
        let model = onnx::Model::decode(bytes.as_slice()).unwrap();
        let weights = read_external(&model, &path, in_use).unwrap();
        let names: HashSet<&str> = weights.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            !names.is_empty() && names.len() == weights.len(),
            "{names:?}"
        );
        Self {
            runtime: runtime.clone(),
            path,
            bytes,
            weights,
        }
    }

    fn open(&self, weights: &[SharedWeight], workers: usize) -> Sessions {
        let graph = SessionGraph {
            path: &self.path,
            bytes: &self.bytes,
            weights,
            linear_weights: None,
        };
        let workers = NonZeroUsize::new(workers).unwrap();
        Sessions::open(&self.runtime, graph, Device::Cpu, workers).unwrap()
    }
}

fn check(runtime: &Runtime, path: &Path) {
    let read = Read::of(runtime, path);
    let weights = &read.weights;
    let sessions = read.open(weights, 2);
    assert_eq!(idle(&sessions.one_core), 2);
    let on_all_cores = usize::from(runtime.cores().get() <= 2);
    assert_eq!(sessions.all_cores.as_ref().map_or(0, idle), on_all_cores);

    // Each session holds the same tensor, as does this test.
    for (name, tensor) in weights {
        assert_eq!(Arc::strong_count(tensor), 1 + 2 + on_all_cores, "{name}");
    }
    drop(sessions);
    for (name, tensor) in weights {
        assert_eq!(Arc::strong_count(tensor), 1, "{name}");
    }
}

#[test]
fn two_workers_have_a_session_each_and_one_copy_of_the_weights() {
    let Some(runtime) = runtime() else {
        return;
    };
    for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
        let exported = ExportedGraph::of("discriminator-plain", precision);
        check(&runtime, &exported.path());
    }
    // Weights in the graph's own file, in fp32 and in int8, and beside it.
    check(&runtime, &other_graph("optimum-sequence/onnx/model.onnx"));
    check(&runtime, &other_graph("optimum-sequence-int8/model.onnx"));
    check(
        &runtime,
        &other_graph("torch-discriminator-int32/model.onnx"),
    );
}

#[test]
fn all_sessions_multiply_with_one_copy_of_the_weights() {
    let Some(runtime) = runtime() else {
        return;
    };
    let exported = ExportedGraph::of("discriminator-plain", Precision::Fp32);
    let path = exported.path();
    let fused = Description::read(&path).unwrap().fused().unwrap();
    let in_use = SharedWeights::default();
    let handed = read_external(&fused.model, &path, &in_use).unwrap();
    let linear_weights = read_linear(&fused.linear_weights, &path, &in_use).unwrap();
    // Four in each of two layers; ONNX Runtime has no copy of them.
    assert_eq!(fused.linear_weights.len(), 2 * 4);
    let copies = |name: &str| Arc::strong_count(&linear_weights.floats(name).unwrap()) - 1;
    let names = fused
        .linear_weights
        .iter()
        .map(|tensor| tensor.name.as_str());
    for name in names.clone() {
        assert!(handed.iter().all(|(handed, _)| handed != name), "{name}");
        assert_eq!(copies(name), 1, "{name}");
    }
    let of_another_model = read_linear(&fused.linear_weights, &path, &in_use).unwrap();
    for name in names.clone() {
        assert_eq!(copies(name), 2, "{name} is in memory twice");
    }
    drop(of_another_model);
    let graph = SessionGraph {
        path: &path,
        bytes: &fused.model.encode_to_vec(),
        weights: &handed,
        linear_weights: Some(&linear_weights),
    };
    let workers = NonZeroUsize::new(2).unwrap();
    let sessions = Sessions::open(&runtime, graph, Device::Cpu, workers).unwrap();
    for name in names.clone() {
        assert!(copies(name) > 2, "a session multiplies {name} otherwise");
    }
    drop(sessions);
    for name in names {
        assert_eq!(copies(name), 1, "{name}");
    }
}

#[test]
fn sessions_compute_with_the_weights_that_they_are_handed() {
    let Some(runtime) = runtime() else {
        return;
    };
    let read = Read::of(&runtime, &other_graph("optimum-token/model.onnx"));
    let logits = |weights: &[SharedWeight]| {
        let sessions = read.open(weights, 1);
        sessions.one_core.with_session(|session| {
            let values = [[4_i64, 7], [1, 1], [0, 0]];
            let names = ["input_ids", "attention_mask", "token_type_ids"];
            let inputs = names.into_iter().zip(values).map(|(name, values)| {
                let tensor = Tensor::from_array(([1_usize, 2], values.to_vec())).unwrap();
                (name, tensor)
            });
            let outputs = session.run(inputs.collect::<Vec<_>>()).unwrap();
            let (_, logits) = outputs["logits"].try_extract_tensor::<f32>().unwrap();
            logits.to_vec()
        })
    };
    let mut weights = read.weights.clone();
    let of_the_file = logits(&weights);
    assert_eq!(of_the_file, logits(&[]));
    // If sessions read their own copies from the file, changed weights would have no effect.
    for (_, weight) in &mut weights {
        let (shape, values) = weight.try_extract_tensor::<f32>().unwrap();
        let halved = values.iter().map(|value| value / 2.0).collect::<Vec<_>>();
        let halved = Tensor::from_array((shape.to_vec(), halved)).unwrap();
        *weight = Arc::new(halved.into_dyn());
    }
    let of_others = logits(&weights);
    let moved = of_the_file.iter().zip(&of_others);
    assert!(
        moved
            .clone()
            .all(|(left, right)| (left - right).abs() > 1e-3),
        "{moved:?}"
    );
}

#[test]
fn models_that_share_their_embeddings_keep_them_once() {
    let Some(runtime) = runtime() else {
        return;
    };
    let in_use = SharedWeights::default();
    let [qa, sentiment] = ["electra-mini-qa", "electra-mini-sentiment"].map(|name| {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        Read::with(&runtime, &models.join(name).join("model.onnx"), &in_use).weights
    });
    let common = |name: &str| {
        let named = |weights: &[SharedWeight]| {
            let mut weights = weights.iter();
            let weight = weights.find(|(weight, _)| weight.contains(name));
            weight.unwrap().1.clone()
        };
        Arc::ptr_eq(&named(&qa), &named(&sentiment))
    };
    assert!(common("word_embeddings.weight"));
    assert!(common("word_embeddings.scale"));
    assert!(!common("layer.5.intermediate.dense.weight"));
}

#[test]
fn one_worker_has_one_session() {
    let Some(runtime) = runtime() else {
        return;
    };
    let exported = ExportedGraph::of("discriminator-plain", Precision::Fp32);
    let sessions = Read::of(&runtime, &exported.path()).open(&[], 1);
    assert_eq!(idle(&sessions.one_core), 1);
    assert!(sessions.all_cores.is_none());
}

#[cfg(unix)]
#[test]
fn a_graph_may_be_a_link_out_of_its_folder() {
    let Some(runtime) = runtime() else {
        return;
    };
    // As in Hugging Face's cache, where a snapshot's files are links to blobs.
    let folder = tempfile::tempdir().unwrap();
    let folders = ["blobs", "snapshot"].map(|name| folder.path().join(name));
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
    }
    let [blob, link] = [folders[0].join("0123"), folders[1].join("model.onnx")];
    std::fs::copy(other_graph("optimum-token/model.onnx"), &blob).unwrap();
    std::os::unix::fs::symlink(&blob, &link).unwrap();
    let read = Read::of(&runtime, &link);
    assert_eq!(idle(&read.open(&read.weights, 1).one_core), 1);
}
