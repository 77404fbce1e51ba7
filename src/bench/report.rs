//! The result of `electra bench`, as `--json` prints it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::batches::MeanBatch;
use super::limit::Limit;
use super::statistics::{Failed, Latency, TimeShares};

/// A load and its measurements.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchReport {
    /// The models, in the order of their requests.
    pub models: Vec<String>,
    /// The target: `engine`, `service`, `http` or `grpc`.
    pub via: &'static str,
    /// The URL, if the server was already running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Threads that run models. Unknown for a running server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// The token budget, if set. Otherwise each model has its own, measured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<usize>,
    pub load: LoadReport,
    pub throughput: Throughput,
    /// Requests answered during the measurement.
    pub requests: usize,
    /// Their tokens, with special tokens and without padding.
    pub tokens: usize,
    /// Latency of requests that were due during the measurement. For `engine`, the run time of their batches.
    #[serde(rename = "latency_ms")]
    pub latency: Option<Latency>,
    /// Failed requests that were due during the measurement, by HTTP or gRPC status or by the kind of failure.
    pub failures: BTreeMap<String, Failed>,
    /// Where the time of requests was spent, if the server reports it.
    pub time_shares: Option<TimeShares>,
    /// The mean batch, if the server reports it.
    pub batches: Option<MeanBatch>,
    /// Padding tokens per real token in matrix products. Unknown for other servers.
    pub padding: Option<f64>,
    /// This machine's limit, if the models ran on its CPU.
    pub limit: Option<Limit>,
}

/// The load's parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadReport {
    #[serde(flatten)]
    pub arrivals: ArrivalsReport,
    /// The source of the texts: a distribution of lengths, or a file.
    pub texts: String,
    /// Duration of the measurement.
    pub seconds: f64,
    /// Seconds before the measurement.
    pub warm_up_seconds: f64,
    /// Seed of everything random.
    pub seed: u64,
}

/// When requests were sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "loop", rename_all = "lowercase")]
pub enum ArrivalsReport {
    /// One batch after another.
    None,
    /// A fixed number of requests in flight.
    Closed {
        /// Requests in flight.
        concurrency: usize,
    },
    /// At random times.
    Open {
        /// Requests per second.
        rate: f64,
        /// The closed loop's throughput, if the rate is a share of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        closed_loop_requests_per_second: Option<f64>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Throughput {
    pub requests_per_second: f64,
    /// Padding not counted.
    pub tokens_per_second: f64,
    /// Billions of operations per second in the matrix products of those tokens. A multiply-add counts as two.
    pub gflops: f64,
}
