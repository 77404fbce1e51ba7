//! The Open Inference Protocol (v2), for both transports: requests and answers are tensors.
//!
//! There are two kinds of requests. Texts in BYTES tensors run the task's operation, as the native route does, and its
//! results become tensors. Token ids in the graph's own tensors are answered with its logits.

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
