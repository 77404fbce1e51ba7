//! Restores attention tensors with pruned heads to their full size.
//!
//! A graph with all heads computes the same result, because a pruned head's values and its columns of the output layer
//! are zero.

use std::collections::BTreeSet;

use crate::model_config::ModelShape;

/// The axis along which a tensor has one block per head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    /// Queries, keys and values, and their biases.
    Rows,
    /// The output layer.
    Columns,
}

/// How to restore a tensor with pruned heads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pruned {
    axis: Axis,
    /// The heads that the tensor does not contain.
    without: BTreeSet<usize>,
    /// All heads.
    heads: usize,
    head_size: usize,
    /// Shape with all heads.
    pub(super) shape: Vec<usize>,
    /// Shape in the checkpoint.
    pub(super) stored_shape: Vec<usize>,
}

impl Pruned {
    fn new(axis: Axis, pruned: &BTreeSet<usize>, shape: &ModelShape, full: Vec<usize>) -> Self {
        let along = match axis {
            Axis::Rows => 0,
            Axis::Columns => full.len() - 1,
        };
        let mut stored_shape = full.clone();
        stored_shape[along] = (shape.num_attention_heads - pruned.len()) * shape.head_size();
        Self {
            axis,
            without: pruned.clone(),
            heads: shape.num_attention_heads,
            head_size: shape.head_size(),
            shape: full,
            stored_shape,
        }
    }

    /// Returns the tensor with all heads, row-major as its input.
    pub(super) fn restore(&self, values: &[f32]) -> Vec<f32> {
        let mut restored = Vec::with_capacity(self.shape.iter().product());
        let width = self.shape.get(1).copied().unwrap_or(1);
        let (rows, block) = match self.axis {
            // One pass over all heads: each is a block of rows.
            Axis::Rows => (1, self.head_size * width),
            // One pass per row: each head is a block of columns.
            Axis::Columns => (self.shape[0], self.head_size),
        };
        let mut blocks = values.chunks(block.max(1));
        for _ in 0..rows {
            for head in 0..self.heads {
                let kept = !self.without.contains(&head);
                match kept.then(|| blocks.next()).flatten() {
                    Some(block) => restored.extend_from_slice(block),
                    None => restored.resize(restored.len() + block, 0.0),
                }
            }
        }
        restored
    }
}

/// The tensors of layers with pruned heads, by name.
pub(super) fn tensors(shape: &ModelShape) -> impl Iterator<Item = (String, Pruned)> {
    let width = shape.hidden_size;
    shape.pruned_heads.iter().flat_map(move |(layer, heads)| {
        let attention = format!("electra.encoder.layer.{layer}.attention");
        let rows = ["query", "key", "value"].into_iter().flat_map({
            let attention = attention.clone();
            move |projection| {
                [
                    (
                        format!("{attention}.self.{projection}.weight"),
                        Pruned::new(Axis::Rows, heads, shape, vec![width, width]),
                    ),
                    (
                        format!("{attention}.self.{projection}.bias"),
                        Pruned::new(Axis::Rows, heads, shape, vec![width]),
                    ),
                ]
            }
        });
        let output = Pruned::new(Axis::Columns, heads, shape, vec![width, width]);
        rows.chain([(format!("{attention}.output.dense.weight"), output)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pruned(axis: Axis, full: Vec<usize>) -> Pruned {
        Pruned {
            axis,
            without: BTreeSet::from([1]),
            heads: 3,
            head_size: 2,
            stored_shape: Vec::new(),
            shape: full,
        }
    }

    #[test]
    fn a_pruned_head_is_zeros_in_its_place() {
        let rows = pruned(Axis::Rows, vec![6, 2]);
        assert_eq!(
            rows.restore(&[1., 2., 3., 4., 5., 6., 7., 8.]),
            [1., 2., 3., 4., 0., 0., 0., 0., 5., 6., 7., 8.]
        );
        let bias = pruned(Axis::Rows, vec![6]);
        assert_eq!(bias.restore(&[1., 2., 3., 4.]), [1., 2., 0., 0., 3., 4.]);
        let columns = pruned(Axis::Columns, vec![2, 6]);
        assert_eq!(
            columns.restore(&[1., 2., 3., 4., 5., 6., 7., 8.]),
            [1., 2., 0., 0., 3., 4., 5., 6., 0., 0., 7., 8.]
        );
    }
}
