//! Exports an ELECTRA checkpoint to an ONNX graph in the packed layout, without Python or ONNX Runtime.
//!
//! The input is a checkpoint's folder: config.json, weights in safetensors or PyTorch's format, and the tokenizer's
//! files. The output is `model.onnx`, with its weights in `model.onnx.data`. Weights are read, converted and written
//! one layer at a time.

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
