//! Observability: metrics, per-model statistics, and logs.

pub mod metrics;
pub mod request;
pub mod statistics;
pub mod tracing;
