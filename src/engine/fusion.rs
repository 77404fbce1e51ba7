//! Which graphs run in this server's own operators on this processor.

use crate::export::graph::fused::ByteProducts;
use crate::export::graph::{FusedGraph, fuse};
use crate::kernels;
use crate::model_config::ModelShape;
use crate::onnx::Model;

/// A graph in this server's own operators, as they are fastest on this processor: where it is one of `electra export`'s, in
/// int8 or fp32, that this version makes of this configuration. None on a processor without the vectors that the operators
/// are written for.
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
