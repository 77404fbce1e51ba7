//! Builds self-attention over the views that `packing` makes of the packed rows.

use super::builder::{self, GraphBuilder, GraphValue, int};
use super::linear::Product;
use super::packing::{Group, PARTS, Packing, empty};
use crate::export::data_file::Float;
use crate::model_config::ModelShape;
use crate::numbers::signed;
use crate::onnx::DataType;

/// Added to the scores of positions past a sequence's end, which are clamped to the sequence's own first token. With
/// -50 they weigh at most e^-50 of the largest weight, which is lost in a sum of floats, and scores still fit into 16
/// bits. ONNX Runtime's own -10000 leaves weights that are denormal numbers, which processors multiply up to a hundred
/// times more slowly.
const MASKED_SCORE: f32 = -50.0;

/// Adds attention over the product of queries, keys and values, `[tokens, 3 * hidden_size]`. The result is `[tokens,
/// hidden_size]`.
pub fn build(
    graph: &mut GraphBuilder,
    shape: &ModelShape,
    packing: &Packing,
    query_key_value: &Product,
    float: Float,
) -> GraphValue {
    let attention = Attention {
        heads: signed(shape.num_attention_heads),
        width: signed(shape.hidden_size),
        query_key_value,
        data_type: float.data_type(),
    };
    let data_type = attention.data_type;
    let uniform = graph.branch(|graph| vec![(attention.uniform(graph, packing), data_type)]);
    let grouped = graph.branch(|graph| vec![(attention.attend_groups(graph, packing), data_type)]);
    graph.choose(&packing.uniform, uniform, grouped).remove(0)
}

struct Attention<'a> {
    heads: i64,
    width: i64,
    query_key_value: &'a Product,
    data_type: DataType,
}

impl Attention<'_> {
    /// Attention over sequences of equal length, whose rows are the view. The mask masks nothing here, but keeps ONNX
    /// Runtime on the same path as in a group, so that a sequence's numbers are bit-identical in every batch.
    fn uniform(&self, graph: &mut GraphBuilder, packing: &Packing) -> GraphValue {
        let (any, columns) = (
            graph.integers(&[-1]),
            graph.integers(&[signed(PARTS) * self.width]),
        );
        let shape = graph.node(
            "Concat",
            &[&any, &packing.longest, &columns],
            vec![int("axis", 0)],
        );
        let view = graph.node("Reshape", &[&self.query_key_value.rows, &shape], vec![]);
        let sizes = graph.integers(&[self.width; PARTS]);
        let parts = graph.nodes("Split", &[&view, &sizes], vec![int("axis", -1)], PARTS);
        self.attend(graph, &parts, &packing.groups[0])
    }

    fn attend_groups(&self, graph: &mut GraphBuilder, packing: &Packing) -> GraphValue {
        let contexts: Vec<GraphValue> = packing
            .groups
            .iter()
            .map(|group| self.attend_group(graph, group))
            .collect();
        let contexts: Vec<&GraphValue> = contexts.iter().collect();
        packing.unpad(graph, &contexts)
    }

    fn attend_group(&self, graph: &mut GraphBuilder, group: &Group) -> GraphValue {
        let gather_and_attend = |graph: &mut GraphBuilder| {
            let parts = Packing::pad(graph, &self.query_key_value.rows, self.width, group);
            self.attend(graph, &parts, group)
        };
        let Some(exists) = &group.exists else {
            return gather_and_attend(graph);
        };
        let filled = graph.branch(|graph| vec![(gather_and_attend(graph), self.data_type)]);
        let empty = empty(graph, &[0, self.width], &[self.data_type]);
        graph.choose(exists, filled, empty).remove(0)
    }

    /// Maps queries, keys and values, `[sequences, longest, width]` each, to `[sequences * longest, width]`.
    fn attend(&self, graph: &mut GraphBuilder, parts: &[GraphValue], group: &Group) -> GraphValue {
        let context = graph.microsoft(
            "MultiHeadAttention",
            &[
                &parts[0],
                &parts[1],
                &parts[2],
                &self.query_key_value.bias,
                &group.mask,
            ],
            vec![
                int("num_heads", self.heads),
                builder::float("mask_filter_value", MASKED_SCORE),
            ],
        );
        let rows = graph.integers(&[-1, self.width]);
        graph.node("Reshape", &[&context, &rows], vec![])
    }
}
