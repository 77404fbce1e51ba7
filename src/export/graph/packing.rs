//! Computes the indices between packed rows and attention's views, from `sequence_starts` as the graph runs.
//!
//! Sequences of similar length share a view, so that a short one is not padded to the longest of the batch. Attention's
//! work grows with the square of a view's length. Each group holds the lengths from its greatest possible one down to
//! half of that.

use super::builder::{Branch, GraphBuilder, GraphValue, int};
use crate::numbers::signed;
use crate::onnx::DataType;

/// Number of groups by length: above a half, above a quarter, and at most a quarter of the longest sequence. More
/// groups would save little, because the possible saving shrinks by a factor of four with each.
const GROUPS: i64 = 3;

/// Queries, keys and values, which are concatenated in a row.
pub const PARTS: usize = 3;

/// Indices between `[tokens]` and the groups' views, `[sequences, longest]`.
#[derive(Debug)]
pub struct Packing {
    /// `[sequences]`: the row of each sequence's first token.
    pub starts: GraphValue,
    /// Whether all sequences have the same length. If so, the rows, reshaped, are the first group's view.
    pub uniform: GraphValue,
    /// `[1]`: length of the longest sequence.
    pub longest: GraphValue,
    /// By decreasing length. If sequences are uniform, all are in the first.
    pub groups: Vec<Group>,
    /// `[tokens]`: the position of each row in the concatenation of all groups' views. Empty if sequences are uniform.
    places: GraphValue,
}

/// Sequences of similar length.
#[derive(Debug)]
pub struct Group {
    /// Whether the group has sequences; absent for the first, which always contains the longest.
    pub exists: Option<GraphValue>,
    /// `[sequences, longest]`: the row at each position. Positions past a sequence's end are clamped to its own first
    /// row, so no other sequence's data is read.
    rows: GraphValue,
    /// `rows` for each of the [`PARTS`], as indices into packed rows that are split into one row per part.
    parts: Vec<GraphValue>,
    /// `[sequences, longest]` int32: 1 for a token, 0 past the sequence's end.
    pub mask: GraphValue,
}

/// Sequence starts and lengths, `[sequences]` each.
struct Boundaries {
    starts: GraphValue,
    lengths: GraphValue,
}

impl Packing {
    /// Adds the nodes that compute the indices.
    pub fn new(graph: &mut GraphBuilder) -> Self {
        graph.enter("packing");
        let boundaries = boundaries(graph);
        let lengths = &boundaries.lengths;
        let longest = graph.node("ReduceMax", &[lengths], vec![int("keepdims", 1)]);
        let shortest = graph.node("ReduceMin", &[lengths], vec![int("keepdims", 1)]);
        let equal = graph.node("Equal", &[&longest, &shortest], vec![]);
        let scalar = graph.integers(&[]);
        let uniform = graph.node("Reshape", &[&equal, &scalar], vec![]);
        let groups = groups(graph, &boundaries, &longest);
        let places = places(graph, &uniform, &groups);
        Self {
            starts: boundaries.starts,
            uniform,
            longest,
            groups,
            places,
        }
    }

    /// Gathers a group's views, `[sequences, longest, width]` for each part, from `[tokens, PARTS * width]`.
    pub fn pad(
        graph: &mut GraphBuilder,
        rows: &GraphValue,
        width: i64,
        group: &Group,
    ) -> Vec<GraphValue> {
        let shape = graph.integers(&[-1, width]);
        let rows = graph.node("Reshape", &[rows, &shape], vec![]);
        let gather = |part| graph.node("Gather", &[&rows, part], vec![int("axis", 0)]);
        group.parts.iter().map(gather).collect()
    }

    /// Restores `[tokens, width]` from the concatenated rows of all groups' views.
    pub fn unpad(&self, graph: &mut GraphBuilder, views: &[&GraphValue]) -> GraphValue {
        let rows = graph.node("Concat", views, vec![int("axis", 0)]);
        graph.node("Gather", &[&rows, &self.places], vec![int("axis", 0)])
    }

    /// The row of each sequence's first token, `[sequences, width]`.
    pub fn first_tokens(&self, graph: &mut GraphBuilder, rows: &GraphValue) -> GraphValue {
        graph.node("Gather", &[rows, &self.starts], vec![int("axis", 0)])
    }
}

/// Adds only [`Packing::starts`].
pub fn starts(graph: &mut GraphBuilder) -> GraphValue {
    let starts_and_end = GraphValue::from_name("sequence_starts");
    let (zero, last) = (graph.integers(&[0]), graph.integers(&[-1]));
    graph.node("Slice", &[&starts_and_end, &zero, &last], vec![])
}

fn boundaries(graph: &mut GraphBuilder) -> Boundaries {
    let starts_and_end = GraphValue::from_name("sequence_starts");
    let (zero, one, last) = (
        graph.integers(&[0]),
        graph.integers(&[1]),
        graph.integers(&[-1]),
    );
    let end = graph.integers(&[i64::MAX]);
    let starts = graph.node("Slice", &[&starts_and_end, &zero, &last], vec![]);
    let ends = graph.node("Slice", &[&starts_and_end, &one, &end], vec![]);
    let lengths = graph.node("Sub", &[&ends, &starts], vec![]);
    Boundaries { starts, lengths }
}

fn groups(graph: &mut GraphBuilder, boundaries: &Boundaries, longest: &GraphValue) -> Vec<Group> {
    // Whether twice, four times, ... a sequence's length exceeds the longest length: no division, no rounding.
    let longer: Vec<GraphValue> = (1..GROUPS)
        .map(|halvings| {
            let factor = graph.integers(&[1 << halvings]);
            let scaled = graph.node("Mul", &[&boundaries.lengths, &factor], vec![]);
            graph.node("Greater", &[&scaled, longest], vec![])
        })
        .collect();
    let mut groups = vec![group(graph, boundaries, &longer[0], None)];
    for (index, above) in longer.iter().enumerate() {
        let shorter = graph.node("Not", &[above], vec![]);
        let members = match longer.get(index + 1) {
            Some(below) => graph.node("And", &[&shorter, below], vec![]),
            None => shorter,
        };
        let flags = graph.cast(&members, DataType::Int32);
        let any = graph.node("ReduceMax", &[&flags], vec![int("keepdims", 0)]);
        let exists = graph.cast(&any, DataType::Bool);
        groups.push(group(graph, boundaries, &members, Some(exists)));
    }
    groups
}

fn group(
    graph: &mut GraphBuilder,
    boundaries: &Boundaries,
    members: &GraphValue,
    exists: Option<GraphValue>,
) -> Group {
    let mut values = match &exists {
        None => view(graph, boundaries, members),
        Some(exists) => {
            let mut types = vec![DataType::Int32, DataType::Int64];
            types.extend((0..PARTS).map(|_| DataType::Int64));
            let filled = graph.branch(|graph| {
                let values = view(graph, boundaries, members);
                values.into_iter().zip(types.clone()).collect()
            });
            let empty = empty(graph, &[0, 1], &types);
            graph.choose(exists, filled, empty)
        }
    };
    let parts = values.split_off(2);
    let rows = values.remove(1);
    Group {
        exists,
        rows,
        parts,
        mask: values.remove(0),
    }
}

/// The mask, the rows, and the rows of each part, for the view of some sequences.
fn view(
    graph: &mut GraphBuilder,
    boundaries: &Boundaries,
    members: &GraphValue,
) -> Vec<GraphValue> {
    let flat = graph.integers(&[-1]);
    let members = graph.node("NonZero", &[members], vec![]);
    let members = graph.node("Reshape", &[&members, &flat], vec![]);
    let column = graph.integers(&[-1, 1]);
    let of_members = |graph: &mut GraphBuilder, values: &GraphValue| {
        let values = graph.node("Gather", &[values, &members], vec![int("axis", 0)]);
        graph.node("Reshape", &[&values, &column], vec![])
    };
    let starts = of_members(graph, &boundaries.starts);
    let lengths = of_members(graph, &boundaries.lengths);
    let longest = graph.node("ReduceMax", &[&lengths], vec![int("keepdims", 0)]);
    let (first, step) = (graph.integer(0), graph.integer(1));
    let positions = graph.node("Range", &[&first, &longest, &step], vec![]);
    let filled = graph.node("Less", &[&positions, &lengths], vec![]);
    let rows = graph.node("Add", &[&starts, &positions], vec![]);
    let rows = graph.node("Where", &[&filled, &rows, &starts], vec![]);
    let parts = graph.integers(&[signed(PARTS)]);
    let first = graph.node("Mul", &[&rows, &parts], vec![]);
    let mut values = vec![graph.cast(&filled, DataType::Int32), rows];
    values.extend((0..PARTS).map(|part| {
        let part = graph.integers(&[signed(part)]);
        graph.node("Add", &[&first, &part], vec![])
    }));
    values
}

fn places(graph: &mut GraphBuilder, uniform: &GraphValue, groups: &[Group]) -> GraphValue {
    let types = [DataType::Int64];
    let unused = empty(graph, &[0], &types);
    let gathered = graph.branch(|graph| {
        let rows = chain_parts(graph, groups, |group| &group.rows);
        let mask = chain_parts(graph, groups, |group| &group.mask);
        let flat = graph.integers(&[-1]);
        let places = graph.node("NonZero", &[&mask], vec![]);
        let places = graph.node("Reshape", &[&places, &flat], vec![]);
        let rows = graph.node("Gather", &[&rows, &places], vec![int("axis", 0)]);
        // Each row is at exactly one position, so this overwrites every element of its input, and inverts `rows`.
        let inverse = graph.node("ScatterElements", &[&places, &rows, &places], vec![]);
        vec![(inverse, DataType::Int64)]
    });
    graph.choose(uniform, unused, gathered).remove(0)
}

/// Concatenates one part of all groups, flattened.
fn chain_parts(
    graph: &mut GraphBuilder,
    groups: &[Group],
    part: fn(&Group) -> &GraphValue,
) -> GraphValue {
    let flat = graph.integers(&[-1]);
    let parts: Vec<GraphValue> = groups
        .iter()
        .map(|group| graph.node("Reshape", &[part(group), &flat], vec![]))
        .collect();
    let parts: Vec<&GraphValue> = parts.iter().collect();
    graph.node("Concat", &parts, vec![int("axis", 0)])
}

/// Adds a branch that returns tensors without elements.
pub fn empty(graph: &mut GraphBuilder, shape: &[i64], types: &[DataType]) -> Branch {
    graph.branch(|graph| {
        types
            .iter()
            .map(|&data_type| {
                let none = graph.none(data_type, shape);
                (graph.node("Identity", &[&none], vec![]), data_type)
            })
            .collect()
    })
}
