//! Builds the packed graph of an ELECTRA checkpoint.
//!
//! The tokens of all sequences stand one after another, and everything but attention runs on exactly these rows: no
//! padding token is ever multiplied. Only attention sees `[sequences, longest]` views, one of each group of sequences of
//! like length, gathered before and given back after; where all sequences have one length, the rows are the view.
//!
//! | input | shape | |
//! |---|---|---|
//! | `input_ids` | `[tokens]` int64 | token ids, special tokens included |
//! | `token_type_ids` | `[tokens]` int64 | 0 for the first text, 1 for the second |
//! | `position_ids` | `[tokens]` int64 | counted from 0 in each sequence |
//! | `sequence_starts` | `[sequences + 1]` int64 | where each sequence starts, and last the number of tokens |
//!
//! The output `logits` is fp32: `[tokens, width]`, or `[sequences, width]` for the sequence head.

mod attention;
mod builder;
mod embeddings;
mod encoder;
pub mod fused;
mod heads;
mod linear;
mod packing;
pub mod products;

use std::collections::HashSet;

use self::builder::{GraphBuilder, Size, declare};
use self::fused::ByteProducts;
use self::linear::LinearLayers;
use self::packing::Packing;
use super::Precision;
use super::head::Head;
use super::weights::{Recipe, initializers};
use crate::model_config::ModelShape;
use crate::onnx::{
    DataLocation, DataType, DimensionValue, Graph, IR_VERSION, MICROSOFT_DOMAIN, Model, OPSET,
    OperatorSet, StringEntry, Tensor, ValueInfo, entry,
};
use crate::task::Task;

/// Names of the packed graph's inputs, in order.
pub const INPUTS: [&str; 4] = [
    "input_ids",
    "token_type_ids",
    "position_ids",
    "sequence_starts",
];
/// Name of the graph's output.
pub const OUTPUT: &str = "logits";
/// Metadata key that tells the layout; its value is `packed`.
pub const LAYOUT_KEY: &str = "electra.layout";
/// Metadata key that tells the task.
pub const TASK_KEY: &str = "electra.task";
/// Metadata key that tells the precision.
pub const PRECISION_KEY: &str = "electra.precision";

/// A graph, and how the tensors in the data file beside it are made.
#[derive(Debug)]
pub struct ExportPlan {
    /// The graph, which refers to the data file for its weights.
    pub model: Model,
    /// What to write into the data file, in order.
    pub recipes: Vec<Recipe>,
}

/// Builds the graph of a checkpoint with the given shape and head. Its weights are looked for in `data_file`.
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

/// A graph in this server's own operators.
#[derive(Clone, Debug)]
pub struct FusedGraph {
    /// The graph.
    pub model: Model,
    /// The weights that its linear layers name and don't have as inputs. The graph is without them.
    pub linear_weights: Vec<Tensor>,
}

/// The graph in this server's own operators, where `model` is what [`build`] makes for this configuration, node for node;
/// none for any other graph, and in fp16. The weights stay those of `model`.
#[must_use]
pub fn fuse(model: &Model, shape: &ModelShape, byte_products: ByteProducts) -> Option<FusedGraph> {
    let graph = model.graph.as_ref()?;
    let precision: Precision = entry(&model.metadata_props, PRECISION_KEY)?.parse().ok()?;
    if precision == Precision::Fp16 {
        return None;
    }
    let head = Head::of_task(
        Task::named(entry(&model.metadata_props, TASK_KEY)?)?,
        width(graph.output.first()?)?,
    );
    let mut weights = graph.initializer.clone();
    weights.retain(|tensor| tensor.data_location() == DataLocation::External);
    let data_file = entry(&weights.first()?.external_data, "location")?;
    if build(shape, head, precision, data_file)
        .model
        .graph
        .as_ref()
        != Some(graph)
    {
        return None;
    }
    let fused = fused::build(shape, head, precision, byte_products);
    let inputs: HashSet<&String> = fused.nodes.iter().flat_map(|node| &node.input).collect();
    let (weights, linear_weights): (Vec<_>, Vec<_>) = weights
        .into_iter()
        .partition(|tensor| inputs.contains(&tensor.name));
    let mut model = model.clone();
    model
        .opset_import
        .push(operator_set(fused::DOMAIN, fused::VERSION));
    model.graph = Some(Graph {
        node: fused.nodes,
        initializer: fused.constants.into_iter().chain(weights).collect(),
        ..graph.clone()
    });
    Some(FusedGraph {
        model,
        linear_weights,
    })
}

/// The last dimension of a declared tensor.
fn width(declared: &ValueInfo) -> Option<usize> {
    let tensor = declared.r#type.as_ref()?.tensor_type.as_ref()?;
    match tensor.shape.as_ref()?.dim.last()?.value {
        Some(DimensionValue::Size(size)) => usize::try_from(size).ok(),
        _ => None,
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

fn operator_set(domain: &str, version: i64) -> OperatorSet {
    OperatorSet {
        domain: domain.to_owned(),
        version,
    }
}

fn metadata(key: &str, value: &str) -> StringEntry {
    StringEntry {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}
