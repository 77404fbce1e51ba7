//! What an operator sees of the running process: metrics, each model's own figures, and logs.

pub mod metrics;
pub mod request;
pub mod statistics;
pub mod tracing;
