//! Counts the rows of a graph's matrix products in ONNX Runtime's profile: one per token, none for padding.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::engine::linear_weights::LinearWeights;
use crate::engine::operators;
use crate::engine::sessions::{configure, find_weights};
use crate::engine::testing::{ExportedGraph, runtime};
use crate::export::graph::fuse;
use crate::export::graph::fused::{ByteProducts, INTEGER_LINEAR, LINEAR};
use crate::model_config::ModelConfig;

/// Different lengths, which attention runs in three groups.
const LENGTHS: [usize; 7] = [3, 40, 17, 40, 5, 9, 23];
const TOKENS: usize = 137;

/// Number of matrix products by their number of rows.
type Products = BTreeMap<usize, usize>;

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// With ONNX Runtime's own operators.
    Exported,
    /// With this server's operators.
    Fused(ByteProducts),
}

/// The matrix products of a run, and the logits that it gives.
fn run(
    runtime: &Runtime,
    checkpoint: &str,
    precision: Precision,
    kind: Kind,
) -> (Products, Vec<Vec<f32>>) {
    let exported = ExportedGraph::of(checkpoint, precision);
    let path = exported.path();
    let options = EngineOptions {
        device: Device::Cpu,
        sessions: NonZeroUsize::MIN,
    };
    let graph = Graph::load(runtime, &path, &options).unwrap();
    let description = Description::read(&path).unwrap();
    let (graph_bytes, linear_weights) = match kind {
        Kind::Exported => (description.file.bytes.clone(), LinearWeights::default()),
        Kind::Fused(byte_products) => {
            let config = ModelConfig::from_folder(exported.folder.path()).unwrap();
            let shape = config.shape().unwrap();
            let fused = fuse(&description.model, &shape, byte_products).unwrap();
            let linear_weights =
                read_linear(&fused.linear_weights, &path, &runtime.weights).unwrap();
            (fused.model.encode_to_vec(), linear_weights)
        }
    };
    let builder = configure(runtime, &path, Device::Cpu, Cores::One)
        .unwrap()
        .with_profiling(exported.folder.path().join("profile"))
        .unwrap()
        .with_operators(operators::domain(Cores::One, &linear_weights).unwrap())
        .unwrap();
    let mut session = find_weights(builder, &path)
        .unwrap()
        .commit_from_memory(&graph_bytes)
        .unwrap();
    let sequences = LENGTHS.map(|length| Sequence {
        ids: (5..).take(length).collect(),
        type_ids: vec![0; length],
    });
    let batch: Vec<&Sequence> = sequences.iter().collect();
    let logits = graph.logits(&mut session, &batch, None).unwrap();
    let profile = std::fs::read_to_string(session.end_profiling().unwrap()).unwrap();
    let events: Vec<Value> = serde_json::from_str(&profile).unwrap();
    let mut products = Products::new();
    for rows in events.iter().filter_map(product_rows) {
        *products.entry(rows).or_default() += 1;
    }
    (products, logits)
}

/// The number of rows, if an event of the profile is a matrix product.
fn product_rows(event: &Value) -> Option<usize> {
    let arguments = &event["args"];
    let operator = arguments["op_name"].as_str()?;
    let of_runtime = operator.contains("MatMul") || operator.contains("Gemm");
    if !of_runtime && ![LINEAR, INTEGER_LINEAR].contains(&operator) {
        return None;
    }
    let [given, computed] = ["input_type_shape", "output_type_shape"].map(|shapes| {
        let first = arguments[shapes][0].as_object().unwrap().values().next();
        let sizes: Vec<usize> = serde_json::from_value(first.unwrap().clone()).unwrap();
        sizes[..sizes.len() - 1].iter().product::<usize>()
    });
    assert_eq!(given, computed, "{event}");
    Some(computed)
}

#[test]
fn no_padding_is_multiplied() {
    let Some(runtime) = runtime() else {
        return;
    };
    assert_eq!(LENGTHS.iter().sum::<usize>(), TOKENS);
    // Four per layer, one for the projection of embeddings, and those of the head. In the last layer of a sequence
    // head, three are on first tokens only.
    let by_token = |count| Products::from([(TOKENS, count)]);
    for (checkpoint, expected) in [
        ("discriminator-plain", by_token(2 * 4 + 2)),
        ("qa-projected", by_token(2 * 4 + 1 + 1)),
        ("token-bio", by_token(2 * 4 + 1 + 1)),
        (
            "sequence-three-labels",
            Products::from([(TOKENS, 1 + 2 * 4 + 1), (LENGTHS.len(), 3 + 2)]),
        ),
    ] {
        for (precision, kind) in [
            (Precision::Fp32, Kind::Exported),
            (Precision::Fp32, Kind::Fused(ByteProducts::Own)),
            (Precision::Fp16, Kind::Exported),
            (Precision::Int8, Kind::Exported),
            (Precision::Int8, Kind::Fused(ByteProducts::Own)),
            (Precision::Int8, Kind::Fused(ByteProducts::Runtime)),
        ] {
            let (found, _) = run(&runtime, checkpoint, precision, kind);
            assert_eq!(found, expected, "{checkpoint} in {precision}, {kind:?}");
        }
    }
}

/// Integer sums are exact and scaled in the same way, so both implementations agree.
#[test]
fn whoever_multiplies_bytes_gets_the_same() {
    let Some(runtime) = runtime() else {
        return;
    };
    for checkpoint in [
        "discriminator-plain",
        "qa-projected",
        "sequence-three-labels",
    ] {
        let logits = [ByteProducts::Own, ByteProducts::Runtime].map(|byte_products| {
            let kind = Kind::Fused(byte_products);
            run(&runtime, checkpoint, Precision::Int8, kind).1
        });
        assert_eq!(logits[0], logits[1], "{checkpoint}");
    }
}
