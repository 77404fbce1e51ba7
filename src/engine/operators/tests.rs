//! Compares fused graphs with the exported graphs that they replace, run by ONNX Runtime's own operators.

use std::num::NonZeroUsize;
use std::path::Path;

use fastrand::Rng;

use crate::engine::testing::{ExportedGraph, runtime};
use crate::engine::{Device, EngineOptions, Graph, Precision, Runtime};
use crate::inference::{Cores, Model, Sequence};

const CHECKPOINTS: [&str; 8] = [
    "discriminator-cased",
    "discriminator-plain",
    "discriminator-relu",
    "discriminator-silu",
    "qa-plain",
    "qa-projected",
    "sequence-three-labels",
    "token-bio",
];

/// Different lengths; the longest takes several parts if all cores run it.
const LENGTHS: [usize; 6] = [1, 17, 60, 2, 33, 8];

fn load(runtime: &Runtime, path: &Path) -> Graph {
    let options = EngineOptions {
        device: Device::Cpu,
        sessions: NonZeroUsize::new(2).unwrap(),
    };
    Graph::load(runtime, path, &options).unwrap()
}

/// Changes config.json so that it does not match the graph, which then runs as exported.
fn estrange(folder: &Path) {
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["layer_norm_eps"] = 0.5.into();
    std::fs::write(&path, config.to_string()).unwrap();
}

fn sequences() -> Vec<Sequence> {
    let mut rng = Rng::with_seed(1);
    let sequences = LENGTHS.iter().map(|&length| Sequence {
        ids: (0..length).map(|_| rng.u32(5..35)).collect(),
        type_ids: (0..length).map(|place| u8::from(place > 9)).collect(),
    });
    sequences.collect()
}

fn check(runtime: &Runtime, checkpoint: &str, precision: Precision, tolerance: f32) {
    let exported = ExportedGraph::of(checkpoint, precision);
    let fused = load(runtime, &exported.path());
    assert!(fused.is_fused(), "{checkpoint} in {precision}");
    estrange(exported.folder.path());
    let plain = load(runtime, &exported.path());
    assert!(!plain.is_fused(), "{checkpoint} in {precision}");

    let sequences = sequences();
    let batch: Vec<&Sequence> = sequences.iter().collect();
    let together = fused.run(&batch, Cores::One).unwrap();
    let expected = plain.run(&batch, Cores::One).unwrap();
    let mut differences = Vec::new();
    for (logits, expected) in together.iter().zip(&expected) {
        assert_eq!(logits.len(), expected.len());
        let pairs = logits.iter().zip(expected);
        differences.extend(pairs.map(|(logit, expected)| (logit - expected).abs()));
    }
    let largest = differences.iter().copied().fold(0.0, f32::max);
    assert!(
        largest <= tolerance,
        "{checkpoint} in {precision}: {largest}"
    );

    for (sequence, logits) in batch.iter().zip(&together) {
        let alone = fused.run(&[sequence], Cores::One).unwrap();
        assert_eq!(&alone[0], logits, "{checkpoint} in {precision}, alone");
    }
    if fused.runs_on_all_cores() {
        let on_all = fused.run(&batch, Cores::All).unwrap();
        assert_eq!(
            on_all, together,
            "{checkpoint} in {precision}, on all cores"
        );
    }
}

#[test]
fn fused_graphs_compute_what_the_exported_ones_do() {
    let Some(runtime) = runtime() else {
        return;
    };
    for checkpoint in CHECKPOINTS {
        check(&runtime, checkpoint, Precision::Fp32, 2e-5);
        // Where a value lies between two steps, the last bit of a float decides which it becomes.
        check(&runtime, checkpoint, Precision::Int8, 2e-2);
    }
}

#[test]
fn half_precision_runs_as_it_was_exported() {
    let Some(runtime) = runtime() else {
        return;
    };
    let exported = ExportedGraph::of("discriminator-plain", Precision::Fp16);
    assert!(!load(&runtime, &exported.path()).is_fused());
}

/// Causes an error of the runtime: no panic, and no read of another sequence's rows.
#[test]
fn sequences_that_make_no_sense_are_refused() {
    // Errors are its own.
    let Some(_runtime) = runtime() else {
        return;
    };
    let check = |starts: &[i64], rows: usize, expected: Option<usize>| {
        let found = super::attention::sequences(starts, rows).ok();
        assert_eq!(found.map(|found| found.len()), expected, "{starts:?}");
    };
    check(&[0, 3, 5], 5, Some(2));
    check(&[0, 3, 5], 6, None);
    check(&[1, 5], 5, None);
    check(&[0, 3, 3, 5], 5, None);
    check(&[0, 4, 3, 5], 5, None);
    check(&[0, -1, 5], 5, None);
    check(&[0], 5, None);
    check(&[], 5, None);
}
