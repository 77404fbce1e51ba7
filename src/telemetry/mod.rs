//! What an operator sees of the running process: metrics and logs.

pub mod metrics;
pub mod request;
pub mod tracing;
