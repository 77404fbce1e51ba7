//! Turns an ELECTRA checkpoint into an ONNX graph in the packed layout, with no Python and no runtime.
//!
//! A checkpoint's folder goes in: config.json, the weights as safetensors or PyTorch wrote them, and the tokenizer's files. Out come `model.onnx` and
//! its weights in `model.onnx.data` beside it. Weights are read, converted and written one layer at a time.

pub mod adapter;
pub mod checkpoint;
pub mod comparison;
mod data_file;
mod error;
mod exporter;
pub mod graph;
pub mod head;
mod precision;
mod quantize;
mod source;
mod weights;

pub use error::ExportError;
pub use exporter::{DATA_FILE, Exported, GRAPH_FILE, export_graph};
pub use precision::{Precision, PrecisionChoice};
pub use source::Source;
