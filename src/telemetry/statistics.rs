//! Statistics of a loaded model since it was loaded, over all transports.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;

/// Counts the requests and batches of one loaded version. Holds its lock briefly, twice per request and once per batch.
#[derive(Debug, Default)]
pub struct ModelStatistics {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    last_inference: Option<SystemTime>,
    sequences: u64,
    batches: u64,
    requests: InferenceStatistics,
    /// Keyed by the number of sequences, which is at most the model's token budget.
    by_batch_size: BTreeMap<usize, DurationTotal>,
}

/// The number of times something was done, and the total time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DurationTotal {
    /// The number of times.
    pub count: u64,
    /// The total time, in nanoseconds.
    pub ns: u64,
}

impl DurationTotal {
    fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.ns = self.ns.saturating_add(nanoseconds(duration));
    }
}

/// Durations of requests. All but `fail` count answered requests only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InferenceStatistics {
    /// Answered requests, from the choice of the model to the results.
    pub success: DurationTotal,
    /// Requests that were accepted but not answered: refused because of their texts or a full queue, past their
    /// deadline, failed, or abandoned by their client.
    pub fail: DurationTotal,
    /// Time waiting for a worker.
    pub queue: DurationTotal,
    /// Time tokenizing.
    pub compute_input: DurationTotal,
    /// Time running the graph.
    pub compute_infer: DurationTotal,
    /// Time decoding logits.
    pub compute_output: DurationTotal,
    /// Always zero: there is no response cache.
    pub cache_hit: DurationTotal,
    /// Always zero: there is no response cache.
    pub cache_miss: DurationTotal,
}

/// Durations of batches of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BatchStatistics {
    /// The number of sequences in the batch.
    pub batch_size: u64,
    /// Always zero: texts are tokenized per request, not per batch.
    pub compute_input: DurationTotal,
    /// Time running the graph.
    pub compute_infer: DurationTotal,
    /// Always zero: logits are decoded per request.
    pub compute_output: DurationTotal,
}

/// The statistics at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatisticsSnapshot {
    /// The time when the last batch ended, in milliseconds since 1970. 0 before the first batch.
    pub last_inference: u64,
    /// The number of sequences that were run: texts, or windows of long texts.
    pub inference_count: u64,
    /// The number of batches that were run.
    pub execution_count: u64,
    /// Durations of requests.
    pub inference_stats: InferenceStatistics,
    /// Durations of batches, in ascending order of batch size.
    pub batch_stats: Vec<BatchStatistics>,
}

/// The duration of a request and of its parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestDurations {
    pub total: Duration,
    /// Time tokenizing.
    pub compute_input: Duration,
    /// Time waiting for a worker.
    pub queue: Duration,
    /// Time running the graph.
    pub compute_infer: Duration,
    /// Time decoding logits.
    pub compute_output: Duration,
}

impl ModelStatistics {
    /// Records a batch.
    pub fn batch_run(&self, sequences: usize, duration: Duration) {
        let now = SystemTime::now();
        let mut counts = self.lock();
        counts.last_inference = Some(now);
        counts.batches += 1;
        counts.sequences += sequences as u64;
        counts
            .by_batch_size
            .entry(sequences)
            .or_default()
            .add(duration);
    }

    pub fn request_answered(&self, durations: &RequestDurations) {
        let requests = &mut self.lock().requests;
        requests.success.add(durations.total);
        requests.compute_input.add(durations.compute_input);
        requests.queue.add(durations.queue);
        requests.compute_infer.add(durations.compute_infer);
        requests.compute_output.add(durations.compute_output);
    }

    pub fn request_failed(&self, total: Duration) {
        self.lock().requests.fail.add(total);
    }

    #[must_use]
    pub fn snapshot(&self) -> StatisticsSnapshot {
        let counts = self.lock();
        let since_epoch = counts
            .last_inference
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let batch = |(&size, &compute_infer): (&usize, &DurationTotal)| BatchStatistics {
            batch_size: size as u64,
            compute_input: DurationTotal::default(),
            compute_infer,
            compute_output: DurationTotal::default(),
        };
        StatisticsSnapshot {
            last_inference: since_epoch.map_or(0, |time| nanoseconds(time) / 1_000_000),
            inference_count: counts.sequences,
            execution_count: counts.batches,
            inference_stats: counts.requests,
            batch_stats: counts.by_batch_size.iter().map(batch).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Saturates: u64 holds centuries of nanoseconds.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_batches_add_up() {
        let statistics = ModelStatistics::default();
        assert_eq!(statistics.snapshot().last_inference, 0);
        let ns = Duration::from_nanos;
        for (sequences, duration) in [(2, 10), (1, 5), (2, 30)] {
            statistics.batch_run(sequences, ns(duration));
        }
        for times in [1, 2] {
            statistics.request_answered(&RequestDurations {
                total: ns(100 * times),
                compute_input: ns(10 * times),
                queue: ns(20 * times),
                compute_infer: ns(30 * times),
                compute_output: ns(40 * times),
            });
        }
        statistics.request_failed(ns(7));
        let snapshot = statistics.snapshot();
        assert!(snapshot.last_inference > 1_600_000_000_000);
        assert_eq!((snapshot.inference_count, snapshot.execution_count), (5, 3));
        let total = |count, ns| DurationTotal { count, ns };
        let requests = snapshot.inference_stats;
        assert_eq!(requests.success, total(2, 300));
        assert_eq!(requests.fail, total(1, 7));
        assert_eq!(requests.compute_input, total(2, 30));
        assert_eq!(requests.queue, total(2, 60));
        assert_eq!(requests.compute_infer, total(2, 90));
        assert_eq!(requests.compute_output, total(2, 120));
        let batches: Vec<_> = snapshot
            .batch_stats
            .iter()
            .map(|batch| (batch.batch_size, batch.compute_infer))
            .collect();
        assert_eq!(batches, [(1, total(1, 5)), (2, total(2, 40))]);
    }
}
