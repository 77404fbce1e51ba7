//! Builds the packed graph of an ELECTRA checkpoint.
//!
//! Sequences are packed back to back. Everything but attention runs on exactly their tokens, so no padding is
//! multiplied. Only attention sees `[sequences, longest]` views, one per group of sequences of similar length, which
//! are gathered before and scattered after. If all sequences have the same length, the rows are the view.
//!
//! | input | shape | |
//! |---|---|---|
//! | `input_ids` | `[tokens]` int64 | token ids, special tokens included |
//! | `token_type_ids` | `[tokens]` int64 | 0 for the first text, 1 for the second |
//! | `position_ids` | `[tokens]` int64 | counted from 0 in each sequence |
//! | `sequence_starts` | `[sequences + 1]` int64 | where each sequence starts, and last the number of tokens |
//!
//! The output `logits` is fp32: `[tokens, width]`, or `[sequences, width]` for the sequence head.

use super::builder::{GraphBuilder, Size, declare, operator_set};
use super::interface::{INPUTS, LAYOUT_KEY, OUTPUT, PRECISION_KEY, TASK_KEY};
use super::linear::LinearLayers;
use super::packing::Packing;
use super::{embeddings, encoder, heads};
use crate::export::head::Head;
use crate::export::precision::Precision;
use crate::export::weights::{Recipe, initializers};
use crate::model_config::ModelShape;
use crate::onnx::{
    DataType, Graph, IR_VERSION, MICROSOFT_DOMAIN, Model, OPSET, StringEntry, ValueInfo,
};

/// A graph, and the recipes of the tensors in its data file.
#[derive(Debug)]
pub struct ExportPlan {
    /// The graph, which refers to the data file for its weights.
    pub model: Model,
    /// Recipes, in the order of the data file.
    pub recipes: Vec<Recipe>,
}

/// Builds the graph for a shape and a head. It refers to `data_file` for its weights.
#[must_use]
pub fn build(shape: &ModelShape, head: Head, precision: Precision, data_file: &str) -> ExportPlan {
    let mut graph = GraphBuilder::default();
    let packing = Packing::new(&mut graph);
    let linear = LinearLayers::new(&mut graph, precision);
    let embedded = embeddings::build(&mut graph, &linear, shape);
    let encoded = encoder::build(&mut graph, &linear, shape, head, &packing, embedded);
    let logits = heads::build(&mut graph, &linear, shape, head, &packing.starts, &encoded);
    graph.output(&logits, OUTPUT);

    let mut initializer = graph.constants;
    initializer.extend(initializers(&graph.recipes, data_file));
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(Graph {
            node: graph.nodes,
            name: "electra".to_owned(),
            initializer,
            input: inputs(),
            output: vec![declare(
                OUTPUT,
                DataType::Float,
                &[rows(head), Size::Fixed(head.width())],
            )],
        }),
        opset_import: vec![operator_set("", OPSET), operator_set(MICROSOFT_DOMAIN, 1)],
        metadata_props: vec![
            metadata(LAYOUT_KEY, "packed"),
            metadata(TASK_KEY, &head.task().to_string()),
            metadata(PRECISION_KEY, &precision.to_string()),
        ],
    };
    ExportPlan {
        model,
        recipes: graph.recipes,
    }
}

fn inputs() -> Vec<ValueInfo> {
    INPUTS
        .iter()
        .map(|name| {
            let size = if *name == "sequence_starts" {
                "sequences_plus_one"
            } else {
                "tokens"
            };
            declare(name, DataType::Int64, &[Size::Named(size)])
        })
        .collect()
}

fn rows(head: Head) -> Size<'static> {
    Size::Named(if matches!(head, Head::Sequence { .. }) {
        "sequences"
    } else {
        "tokens"
    })
}

fn metadata(key: &str, value: &str) -> StringEntry {
    StringEntry {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
