//! Logits equal those of transformers 4.57.6, alone and in one batch of mixed lengths: in fp32 to 1e-4, in fp16 within
//! its 11 bits, in int8 by decision.

use std::path::Path;

use electra_server::engine::{Device, EngineError, EngineOptions, Graph, Runtime};
use electra_server::export::Precision;
use serde_json::Value;

use crate::harness::{checkpoints, default_models, exported, golden};
use electra_server::inference::{Cores, Model, Sequence};

/// The largest allowed difference between fp32 logits and transformers' fp32 logits.
pub const FP32_TOLERANCE: f32 = 1e-4;
/// The same for fp16: a few units of its 11th bit, for logits up to 3.5.
const FP16_TOLERANCE: f32 = 8e-3;
/// The root mean square error of fp16, relative to the logits.
const FP16_RELATIVE_ERROR: f64 = 1.5e-3;
/// The largest difference that the rest of the batch may cause.
pub const FP32_BATCH_TOLERANCE: f32 = 1e-5;
const FP16_BATCH_TOLERANCE: f32 = 1e-3;
const INT8_BATCH_TOLERANCE: f32 = 1e-4;

/// The graph of a model folder.
pub fn load(folder: &Path) -> Graph {
    try_load(folder).unwrap_or_else(|error| panic!("{error}"))
}

/// The graph of a model folder, or why it is refused.
pub fn try_load(folder: &Path) -> Result<Graph, EngineError> {
    let runtime = Runtime::load(None).expect("ONNX Runtime");
    let options = EngineOptions {
        device: Device::Cpu,
        sessions: runtime.cores(),
    };
    let places = ["model.onnx", "onnx/model.onnx"].map(|file| folder.join(file));
    let graph = places.iter().find(|path| path.exists());
    Graph::load(&runtime, graph.expect("a graph"), &options)
}

fn numbers<T: TryFrom<u64>>(values: &Value) -> Vec<T> {
    let values = values.as_array().expect("a list");
    values
        .iter()
        .map(|value| {
            value
                .as_u64()
                .and_then(|value| T::try_from(value).ok())
                .expect("a small number")
        })
        .collect()
}

/// The sequences and logits of a golden file.
pub fn cases(name: &str) -> Vec<(Sequence, Vec<f32>)> {
    let golden = golden(&format!("logits/{name}.json"));
    let cases = golden["cases"].as_array().expect("cases").clone();
    assert!(cases.len() >= 8, "{name} has too few cases");
    cases
        .iter()
        .map(|case| {
            let sequence = Sequence {
                ids: numbers(&case["input_ids"]),
                type_ids: numbers(&case["token_type_ids"]),
            };
            let rows = case["logits"]
                .as_array()
                .expect("rows")
                .iter()
                .flat_map(|row| row.as_array().expect("a row"));
            #[expect(
                clippy::cast_possible_truncation,
                reason = "goldens are fp32 to begin with"
            )]
            let logits = rows
                .map(|logit| logit.as_f64().expect("a number") as f32)
                .collect();
            (sequence, logits)
        })
        .collect()
}

pub fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .map(|(left, right)| (left - right).abs())
        .fold(0.0, f32::max)
}

/// Every case's logits, computed alone.
pub fn alone(graph: &Graph, cases: &[(Sequence, Vec<f32>)]) -> Vec<Vec<f32>> {
    let run = |sequence| graph.run(&[sequence], Cores::One).expect("a run").concat();
    cases.iter().map(|(sequence, _)| run(sequence)).collect()
}

/// Every case's logits, computed alone. Checks that they are the same in one batch of all cases, in the reversed batch,
/// and on all cores.
pub fn logits(
    graph: &Graph,
    cases: &[(Sequence, Vec<f32>)],
    tolerance: f32,
    name: &str,
) -> Vec<Vec<f32>> {
    let alone = alone(graph, cases);
    let together: Vec<&Sequence> = cases.iter().map(|(sequence, _)| sequence).collect();
    let reversed: Vec<&Sequence> = together.iter().rev().copied().collect();
    let batch = graph.run(&together, Cores::One).expect("a run");
    let reversed = graph.run(&reversed, Cores::One).expect("a run");
    let on_all_cores = graph.run(&together, Cores::All).expect("a run");
    for (index, alone) in alone.iter().enumerate() {
        let last = cases.len() - 1;
        for batched in [&batch[index], &reversed[last - index], &on_all_cores[index]] {
            let difference = largest_difference(alone, batched);
            assert!(
                difference <= tolerance,
                "{name}, case {index}: {difference} apart alone and in a batch"
            );
        }
    }
    alone
}

#[test]
fn fp32_logits_equal_transformers_on_every_head_and_shape() {
    for name in checkpoints() {
        let graph = load(&exported(&name, Precision::Fp32));
        let cases = cases(&name);
        let computed = logits(&graph, &cases, FP32_BATCH_TOLERANCE, &name);
        check_logits(&name, &cases, &computed, FP32_TOLERANCE);
    }
}

#[test]
fn fp16_logits_are_those_of_transformers_on_every_head_and_shape() {
    for name in checkpoints() {
        let graph = load(&exported(&name, Precision::Fp16));
        assert_eq!(graph.precision(), Precision::Fp16);
        let cases = cases(&name);
        let computed = logits(&graph, &cases, FP16_BATCH_TOLERANCE, &name);
        check_logits(&name, &cases, &computed, FP16_TOLERANCE);
        let error = error_energy(&cases, &computed).sqrt();
        assert!(error < FP16_RELATIVE_ERROR, "{name}: {error}");
        let margin = 2.0 * FP16_TOLERANCE;
        for ((_, wanted), computed) in cases.iter().zip(&computed) {
            check_decisions(&name, wanted, computed, graph.output_width(), margin);
        }
    }
}

fn check_logits(name: &str, cases: &[(Sequence, Vec<f32>)], computed: &[Vec<f32>], tolerance: f32) {
    for (index, ((_, wanted), computed)) in cases.iter().zip(computed).enumerate() {
        let difference = largest_difference(computed, wanted);
        assert!(
            difference <= tolerance,
            "{name}, case {index}: {difference} from transformers"
        );
    }
}

/// Whether two logits differ by more than the precision's expected error, so that their order counts as a decision.
fn is_clear(highest: f32, other: f32, margin: f32) -> bool {
    highest - other > margin
}

/// Checks that the precision agrees with every clear decision of transformers' fp32 logits. Returns the number of
/// decisions.
fn check_decisions(
    name: &str,
    wanted: &[f32],
    computed: &[f32],
    width: usize,
    margin: f32,
) -> usize {
    let rows = wanted.chunks_exact(width).zip(computed.chunks_exact(width));
    let mut clear = 0;
    for (row, (wanted, computed)) in rows.enumerate() {
        if width == 1 {
            if wanted[0].abs() > margin {
                clear += 1;
                assert_eq!(
                    wanted[0] > 0.0,
                    computed[0] > 0.0,
                    "{name}, row {row}: {} became {}",
                    wanted[0],
                    computed[0]
                );
            }
            continue;
        }
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|left, right| wanted[*right].total_cmp(&wanted[*left]));
        if is_clear(wanted[order[0]], wanted[order[1]], margin) {
            clear += 1;
            let found =
                (0..width).max_by(|left, right| computed[*left].total_cmp(&computed[*right]));
            assert_eq!(
                found,
                Some(order[0]),
                "{name}, row {row}: {wanted:?} became {computed:?}"
            );
        }
    }
    clear
}

#[test]
fn int8_keeps_the_clear_decisions_of_the_default_models() {
    let mut clear = 0;
    for name in ["discriminator", "sentiment", "chunker"] {
        let name = format!("electra-mini-{name}");
        let graph = load(&default_models().join(&name));
        assert_eq!(graph.precision(), Precision::Int8);
        let cases = cases(&name);
        let computed = logits(&graph, &cases, INT8_BATCH_TOLERANCE, &name);
        for ((_, wanted), computed) in cases.iter().zip(&computed) {
            clear += check_decisions(&name, wanted, computed, graph.output_width(), 0.75);
        }
    }
    assert!(
        clear > 100,
        "only {clear} decisions were clear enough to compare"
    );
}

#[test]
fn int8_finds_the_spans_of_the_default_question_answerer() {
    let name = "electra-mini-qa";
    let graph = load(&default_models().join(name));
    let cases = cases(name);
    let computed = logits(&graph, &cases, INT8_BATCH_TOLERANCE, name);
    let mut compared = 0;
    for ((_, wanted), computed) in cases.iter().zip(&computed) {
        for column in 0..2 {
            let mut order: Vec<usize> = (0..wanted.len() / 2).collect();
            let wanted = |row: usize| wanted[row * 2 + column];
            order.sort_by(|left, right| wanted(*right).total_cmp(&wanted(*left)));
            if order.len() > 1 && is_clear(wanted(order[0]), wanted(order[1]), 0.75) {
                compared += 1;
                let best = (0..computed.len() / 2).max_by(|left, right| {
                    computed[left * 2 + column].total_cmp(&computed[right * 2 + column])
                });
                assert_eq!(best, Some(order[0]), "column {column}");
            }
        }
    }
    assert!(
        compared >= 4,
        "only {compared} spans were clear enough to compare"
    );
}

#[test]
fn int8_stays_near_fp32_on_every_head_and_shape() {
    for name in checkpoints() {
        let graph = load(&exported(&name, Precision::Int8));
        let cases = cases(&name);
        let computed = logits(&graph, &cases, INT8_BATCH_TOLERANCE, &name);
        let error = error_energy(&cases, &computed);
        // These checkpoints have random weights with a larger spread than real ones, so int8 is less accurate on them.
        assert!(
            error < 0.02,
            "{name}: int8 is off by {:.1}% of the logits' energy",
            error * 100.0
        );
    }
}

/// The sum of squared differences from transformers' logits, relative to the sum of their squares.
fn error_energy(cases: &[(Sequence, Vec<f32>)], computed: &[Vec<f32>]) -> f64 {
    let pairs = || {
        cases
            .iter()
            .zip(computed)
            .flat_map(|((_, wanted), computed)| wanted.iter().zip(computed))
    };
    let squares = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|value| f64::from(value).powi(2)).sum::<f64>()
    };
    squares(&mut pairs().map(|(wanted, computed)| wanted - computed))
        / squares(&mut pairs().map(|(wanted, _)| *wanted))
}
