//! The operators of fused graphs, as adapters between ONNX Runtime's tensors and the kernels. `export::graph::fused`
//! lists their inputs and outputs.

mod activation;
mod attention;
mod call;
mod declaration;
mod domain;
mod linear;
mod normalization;
mod quantization;

pub use domain::{domain, register_domain};

#[cfg(test)]
mod tests;
