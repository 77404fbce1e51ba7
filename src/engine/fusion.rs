//! Decides which graphs run as fused graphs on this processor.

use crate::export::graph::fused::ByteProducts;
use crate::export::graph::{FusedGraph, fuse};
use crate::kernels;
use crate::model_config::ModelShape;
use crate::onnx::Model;

/// Returns the fused graph, with the int8 products that are fastest on this processor. Returns `None` unless `model` is
/// the graph that this version's `electra export` makes for `shape`, in int8 or fp32. Also returns `None` on a
/// processor without the vectors that the kernels need.
#[must_use]
pub fn fuse_for_cpu(model: &Model, shape: &ModelShape) -> Option<FusedGraph> {
    if !kernels::vectorized() {
        return None;
    }
    let byte_products = if kernels::multiplies_bytes() {
        ByteProducts::Own
    } else {
        ByteProducts::Runtime
    };
    fuse(model, shape, byte_products)
}
