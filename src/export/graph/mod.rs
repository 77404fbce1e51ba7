//! Builds the graph of an ELECTRA checkpoint: as exported, and of this server's own operators.

mod attention;
mod builder;
mod embeddings;
mod encoder;
pub mod fused;
mod fusion;
mod heads;
mod interface;
mod linear;
mod packed;
mod packing;
pub mod products;

pub use fusion::{FusedGraph, fuse};
pub use interface::{INPUTS, LAYOUT_KEY, OUTPUT, PRECISION_KEY, TASK_KEY};
pub use packed::{ExportPlan, build};
