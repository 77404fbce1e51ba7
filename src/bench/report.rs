//! What a load run found, as values: `electra bench --json` prints them as they are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::batches::MeanBatch;
use super::limit::Limit;
use super::statistics::{Failed, Latency, TimeShares};

/// A load and what was measured of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The models that were asked, in turn.
    pub models: Vec<String>,
    /// Where requests went: `engine`, `service`, `http` or `grpc`.
    pub via: &'static str,
    /// The URL, where the server was not the load's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Threads that run models; of another server this is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Token budget of a batch, where it is set; else each model has the one that was measured for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<usize>,
    /// The load.
    pub load: LoadReport,
    /// What was reached.
    pub throughput: Throughput,
    /// Requests answered in the measured time.
    pub requests: usize,
    /// Their tokens, special tokens included and padding not counted.
    pub tokens: usize,
    /// How long requests due in the measured time took. `engine`: how long the batches took that they were in.
    #[serde(rename = "latency_ms")]
    pub latency: Option<Latency>,
    /// Requests due in the measured time that failed, by HTTP or gRPC status or by what happened.
    pub failures: BTreeMap<String, Failed>,
    /// Where the time of requests went, where the server tells.
    pub time_shares: Option<TimeShares>,
    /// The mean batch, where the server tells.
    pub batches: Option<MeanBatch>,
    /// Tokens multiplied that are padding, for each real one; of another server this is not known.
    pub padding: Option<f64>,
    /// What this machine could do, where the models ran on its CPU.
    pub limit: Option<Limit>,
}

/// How a load was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadReport {
    /// When requests were sent.
    #[serde(flatten)]
    pub arrivals: ArrivalsReport,
    /// What they were made of: a distribution of lengths, or a file of texts.
    pub texts: String,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Seconds before them that were not.
    pub warm_up_seconds: f64,
    /// What everything random was made of.
    pub seed: u64,
}

/// When requests were sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "loop", rename_all = "lowercase")]
pub enum ArrivalsReport {
    /// Batch after batch, with nothing between them.
    None,
    /// A fixed number in flight.
    Closed {
        /// How many.
        concurrency: usize,
    },
    /// At random times.
    Open {
        /// Requests a second.
        rate: f64,
        /// What a closed loop reached before, where the rate is a share of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        closed_loop_requests_per_second: Option<f64>,
    },
}

/// Work done a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// Requests.
    pub requests_per_second: f64,
    /// Tokens, padding not counted.
    pub tokens_per_second: f64,
    /// Billions of operations in the matrix products of those tokens: a multiplication with its addition is two.
    pub gflops: f64,
}
