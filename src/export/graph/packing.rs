//! Between the packed rows and attention's view: the indices that gather one from the other, made from
//! `sequence_starts` when the graph runs.

use super::builder::{GraphBuilder, Value, int};
use crate::onnx::DataType;

/// Indices between `[tokens]` and `[sequences, longest]`.
#[derive(Debug)]
pub struct Packing {
    /// `[sequences]`: the row of each sequence's first token.
    pub starts: Value,
    /// `[sequences, longest]`: the row to show at each place. Places past a sequence's end show its own first row, so
    /// that nothing of another sequence is ever read.
    pub padded_rows: Value,
    /// `[sequences, longest]` int32: 1 where the place holds a token, 0 past the end.
    pub key_mask: Value,
    /// `[tokens]`: the place of each row in the view, counted over all its places.
    pub places: Value,
}

impl Packing {
    /// Adds the nodes that compute the indices.
    pub fn new(graph: &mut GraphBuilder) -> Self {
        graph.enter("packing");
        let boundaries = Value::named("sequence_starts");
        let (zero, one, last) = (
            graph.integers(&[0]),
            graph.integers(&[1]),
            graph.integers(&[-1]),
        );
        let end = graph.integers(&[i64::MAX]);
        let starts = graph.node("Slice", &[&boundaries, &zero, &last], vec![]);
        let ends = graph.node("Slice", &[&boundaries, &one, &end], vec![]);
        let lengths = graph.node("Sub", &[&ends, &starts], vec![]);
        let longest = graph.node("ReduceMax", &[&lengths], vec![int("keepdims", 0)]);
        let (first, step) = (graph.integer(0), graph.integer(1));
        let positions = graph.node("Range", &[&first, &longest, &step], vec![]);
        let column = graph.integers(&[-1, 1]);
        let starts_column = graph.node("Reshape", &[&starts, &column], vec![]);
        let lengths_column = graph.node("Reshape", &[&lengths, &column], vec![]);
        let filled = graph.node("Less", &[&positions, &lengths_column], vec![]);
        let rows = graph.node("Add", &[&starts_column, &positions], vec![]);
        let padded_rows = graph.node("Where", &[&filled, &rows, &starts_column], vec![]);
        let key_mask = graph.cast(&filled, DataType::Int32);
        let flat = graph.integers(&[-1]);
        let filled_places = graph.node("Reshape", &[&filled, &flat], vec![]);
        let places = graph.node("NonZero", &[&filled_places], vec![]);
        let places = graph.node("Reshape", &[&places, &flat], vec![]);
        Self {
            starts,
            padded_rows,
            key_mask,
            places,
        }
    }

    /// `[tokens, width]` to `[sequences, longest, width]`.
    pub fn pad(&self, graph: &mut GraphBuilder, rows: &Value) -> Value {
        graph.node("Gather", &[rows, &self.padded_rows], vec![int("axis", 0)])
    }

    /// `[sequences, longest, width]` back to `[tokens, width]`.
    pub fn unpad(&self, graph: &mut GraphBuilder, view: &Value, width: i64) -> Value {
        let shape = graph.integers(&[-1, width]);
        let rows = graph.node("Reshape", &[view, &shape], vec![]);
        graph.node("Gather", &[&rows, &self.places], vec![int("axis", 0)])
    }

    /// The first token's row of each sequence, `[sequences, width]`.
    pub fn first_tokens(&self, graph: &mut GraphBuilder, rows: &Value) -> Value {
        graph.node("Gather", &[rows, &self.starts], vec![int("axis", 0)])
    }
}
