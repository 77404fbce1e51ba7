//! Replaces an exported graph by one of this server's own operators.

use std::collections::HashSet;

use super::builder::operator_set;
use super::fused::{self, ByteProducts};
use super::interface::{PRECISION_KEY, TASK_KEY};
use super::packed::build;
use crate::export::head::Head;
use crate::export::precision::Precision;
use crate::model_config::ModelShape;
use crate::onnx::{DataLocation, DimensionValue, Graph, Model, Tensor, ValueInfo, entry};
use crate::task::Task;

/// A graph of this server's own operators.
#[derive(Clone, Debug)]
pub struct FusedGraph {
    pub model: Model,
    /// The weights that linear layers refer to by name. They are neither node inputs nor part of the graph.
    pub linear_weights: Vec<Tensor>,
}

/// Returns the fused graph if `model` equals, node for node, the graph that [`build`] makes for this configuration.
/// Returns `None` for any other graph, and in fp16. The weights remain those of `model`.
#[must_use]
pub fn fuse(model: &Model, shape: &ModelShape, byte_products: ByteProducts) -> Option<FusedGraph> {
    let graph = model.graph.as_ref()?;
    let precision: Precision = entry(&model.metadata_props, PRECISION_KEY)?.parse().ok()?;
    if precision == Precision::Fp16 {
        return None;
    }
    let head = Head::from_task(
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
        Some(DimensionValue::DimValue(size)) => usize::try_from(size).ok(),
        _ => None,
    }
}
