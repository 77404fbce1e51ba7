//! The Open Inference Protocol (v2), whichever transport it comes by: models are asked by tensors.
//!
//! There are two ways to ask. Texts in BYTES tensors are answered like the task's native route, whose operation computes
//! them, with the results as tensors. Token ids in the graph's own tensors are answered with its logits.

mod address;
mod decoded;
mod infer;
mod inputs;
mod metadata;
mod names;
mod packed;
mod parameters;
mod raw;
mod repository;
mod statistics;
mod tensor;
mod text;

pub use address::address;
pub use infer::{InferRequest, InferResponse};
pub use metadata::{
    ConfigTensor, DynamicBatching, ModelMetadata, ServerMetadata, TensorMetadata, TritonConfig,
};
pub use parameters::{
    ParameterValue, Parameters, RequestedOutput, binary_data_output, binary_data_size,
};
pub use repository::{IndexEntry, IndexState, check_load_parameters, check_unload_parameters};
pub use statistics::{ModelStatisticsReport, StatisticsReport};
pub use tensor::{Datatype, Tensor, TensorData};
