//! Observability: metrics, per-model statistics, and logs.

pub mod metrics;
pub mod once_a_minute;
pub mod request;
pub mod statistics;
pub mod tracing;
