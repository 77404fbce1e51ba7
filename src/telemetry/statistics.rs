//! A loaded model's own figures since it was loaded, whichever way its requests came.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;

/// Counts one loaded version's requests and batches. Its lock is held for moments, twice a request and once a batch.
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
    /// By the number of sequences, of which a batch has at most its model's token budget.
    by_batch_size: BTreeMap<usize, DurationTotal>,
}

/// How often something was done, and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DurationTotal {
    /// How often.
    pub count: u64,
    /// How long, in nanoseconds.
    pub ns: u64,
}

impl DurationTotal {
    fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.ns = self.ns.saturating_add(nanoseconds(duration));
    }
}

/// What requests took; of the parts, those of requests that were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InferenceStatistics {
    /// Requests that were answered, from the choice of their model to their results.
    pub success: DurationTotal,
    /// Requests that were taken and not answered: refused by their texts or a full queue, late, failed, or left by their client.
    pub fail: DurationTotal,
    /// Waiting for a worker.
    pub queue: DurationTotal,
    /// Making tokens of texts.
    pub compute_input: DurationTotal,
    /// Running the graph.
    pub compute_infer: DurationTotal,
    /// Making results of logits.
    pub compute_output: DurationTotal,
    /// Always nothing: every answer is computed.
    pub cache_hit: DurationTotal,
    /// Always nothing.
    pub cache_miss: DurationTotal,
}

/// What batches of one size took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BatchStatistics {
    /// Sequences of a batch.
    pub batch_size: u64,
    /// Nothing: texts are made tokens of by request, not by batch.
    pub compute_input: DurationTotal,
    /// Running the graph.
    pub compute_infer: DurationTotal,
    /// Nothing: results are made of logits by request.
    pub compute_output: DurationTotal,
}

/// The figures at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatisticsSnapshot {
    /// When a batch last ended, in milliseconds since 1970; 0 where none has.
    pub last_inference: u64,
    /// Sequences that were run: texts, or windows of long ones.
    pub inference_count: u64,
    /// Batches that were run.
    pub execution_count: u64,
    /// What requests took.
    pub inference_stats: InferenceStatistics,
    /// What batches took, the smallest first.
    pub batch_stats: Vec<BatchStatistics>,
}

/// What the parts of a request took.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestDurations {
    /// All of it.
    pub total: Duration,
    /// Making tokens of texts.
    pub compute_input: Duration,
    /// Waiting for a worker.
    pub queue: Duration,
    /// Running the graph.
    pub compute_infer: Duration,
    /// Making results of logits.
    pub compute_output: Duration,
}

impl ModelStatistics {
    /// A batch of so many sequences ran.
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

    /// A request was answered.
    pub fn request_answered(&self, durations: &RequestDurations) {
        let requests = &mut self.lock().requests;
        requests.success.add(durations.total);
        requests.compute_input.add(durations.compute_input);
        requests.queue.add(durations.queue);
        requests.compute_infer.add(durations.compute_infer);
        requests.compute_output.add(durations.compute_output);
    }

    /// A request was not answered.
    pub fn request_failed(&self, total: Duration) {
        self.lock().requests.fail.add(total);
    }

    /// The figures as they are now.
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

/// Centuries of them fit.
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
