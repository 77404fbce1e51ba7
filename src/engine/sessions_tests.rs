//! Counts the sessions of a graph, and the copies of its weights.

use std::collections::HashSet;
use std::sync::Arc;

use prost::Message as _;

use super::*;
use crate::engine::Precision;
use crate::engine::testing::{ExportedGraph, runtime};
use crate::engine::weights::read_external;
use crate::onnx;

fn idle(pool: &SessionPool) -> usize {
    pool.idle.lock().unwrap().len()
}

fn check(precision: Precision) {
    let runtime = runtime();
    let graph = ExportedGraph::of("discriminator-plain", precision);
    let path = graph.path();
    let model = onnx::Model::decode(std::fs::read(&path).unwrap().as_slice()).unwrap();
    let weights = read_external(&model, &path).unwrap();
    let names: HashSet<&str> = weights.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        !names.is_empty() && names.len() == weights.len(),
        "{names:?}"
    );

    let workers = NonZeroUsize::new(2).unwrap();
    let sessions = Sessions::open(&runtime, &path, Device::Cpu, workers, &weights).unwrap();
    assert_eq!(idle(&sessions.one_core), 2);
    let on_all_cores = usize::from(runtime.cores() <= workers);
    assert_eq!(sessions.all_cores.as_ref().map_or(0, idle), on_all_cores);

    // Each session holds the tensor itself, beside this test.
    for (name, tensor) in &weights {
        assert_eq!(Arc::strong_count(tensor), 1 + 2 + on_all_cores, "{name}");
    }
    drop(sessions);
    for (name, tensor) in &weights {
        assert_eq!(Arc::strong_count(tensor), 1, "{name}");
    }
}

#[test]
fn two_workers_have_a_session_each_and_one_copy_of_the_weights() {
    check(Precision::Fp32);
    check(Precision::Fp16);
    check(Precision::Int8);
}

#[test]
fn one_worker_has_one_session() {
    let graph = ExportedGraph::of("discriminator-plain", Precision::Fp32);
    let one = NonZeroUsize::MIN;
    let sessions = Sessions::open(&runtime(), &graph.path(), Device::Cpu, one, &[]).unwrap();
    assert_eq!(idle(&sessions.one_core), 1);
    assert!(sessions.all_cores.is_none());
}
