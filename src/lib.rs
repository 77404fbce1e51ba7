//! Serves ELECTRA models: replaced-token detection, classification, tagging and question answering.
//!
//! ARCHITECTURE.md tells how the parts fit together.

#![forbid(unsafe_code)]

pub mod access;
pub mod activation;
pub mod app;
pub mod batch;
pub mod bench;
pub mod browsers;
mod changes;
pub mod cli;
pub mod client;
pub mod config;
pub mod connections;
pub mod convert;
pub mod engine;
pub mod error;
pub mod eval;
mod executor;
pub mod export;
pub mod fields;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod grpc;
pub mod heads;
pub mod http;
pub mod hub;
pub mod inference;
pub mod inflight;
pub mod kernels;
pub mod limits;
pub mod loading;
pub mod model_config;
pub mod model_folder;
mod numbers;
pub mod onnx;
mod panics;
mod quote;
pub mod registry;
pub mod service;
pub mod stage;
mod suggest;
pub mod task;
pub mod telemetry;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(dead_code))]
mod testing;
pub mod text;
mod text_file;
pub mod tls;
