//! The operators of fused graphs, as ONNX Runtime calls them: adapters that take its tensors, call a kernel and fill its
//! tensors. `export::graph::fused` says what each takes and gives.

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
#[path = "operators_tests.rs"]
mod tests;
