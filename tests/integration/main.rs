//! The integration tests: one binary, the real server on port 0, real models.

mod access;
mod architecture;
mod bad_input;
mod batching;
mod bench;
mod browsers;
mod cases;
mod checkpoints;
mod command_line;
mod connections;
mod documentation;
mod drain;
mod eval;
mod export;
mod formats;
mod grpc;
mod grpc_oip;
mod harness;
mod http;
mod hub;
mod hub_server;
mod huggingface;
#[cfg(unix)]
mod log;
mod memory;
#[cfg(unix)]
mod model_files;
mod offsets;
mod oip;
mod openapi;
mod padded;
mod parity;
mod quoting;
mod refusals;
mod repository;
mod routes;
#[cfg(unix)]
mod stop;
mod tagging;
#[cfg(target_os = "linux")]
mod threads;
#[cfg(unix)]
mod tls;
mod token_types;
mod windows;
