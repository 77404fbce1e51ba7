//! Statistics of a load: exact percentiles, rates over the measurement, and shares. Pure.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use super::load::{LoadFailure, LoadSample};
use crate::numbers::float;
use crate::service::Timings;

/// The distribution of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    pub mean: f64,
    /// The median.
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    pub max: f64,
}

impl Latency {
    /// Computes the distribution. Each percentile is one of the given times. `None` without times.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let max = milliseconds(*times.last()?);
        // The nearest-rank method: the smallest time such that at least this share of all times is not above it.
        let percentile = |per_mille: usize| {
            let rank = (times.len() * per_mille).div_ceil(1000).max(1);
            milliseconds(times[rank - 1])
        };
        Some(Self {
            mean: times.iter().copied().map(milliseconds).sum::<f64>() / float(times.len()),
            p50: percentile(500),
            p90: percentile(900),
            p99: percentile(990),
            p999: percentile(999),
            max,
        })
    }
}

/// Where the time of a mean request is spent, as shares of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TimeShares {
    /// Waiting for a worker.
    pub queue: f64,
    /// Tokenizing.
    pub tokenizer: f64,
    /// Running its batch.
    pub graph: f64,
    /// Everything else: connection, encoding, decoding of logits.
    pub rest: f64,
}

impl TimeShares {
    /// Computes shares from latencies and the server's timings. `None` if the server reports none.
    fn of(requests: &[(Duration, Timings)]) -> Option<Self> {
        let sum = |part: fn(&(Duration, Timings)) -> Duration| {
            requests.iter().map(part).sum::<Duration>().as_secs_f64()
        };
        let all = sum(|(latency, _)| *latency);
        if all <= 0.0 {
            return None;
        }
        let queue = sum(|(_, timings)| timings.queue) / all;
        let tokenizer = sum(|(_, timings)| timings.tokenize) / all;
        let graph = sum(|(_, timings)| timings.inference) / all;
        Some(Self {
            queue,
            tokenizer,
            graph,
            rest: (1.0 - queue - tokenizer - graph).max(0.0),
        })
    }
}

/// The measurements of a load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Duration of the measurement.
    pub elapsed: Duration,
    /// Indices of the requests answered during the measurement.
    pub answered: Vec<usize>,
    /// Latency of requests that were due during the measurement and were answered, even if later.
    pub latency: Option<Latency>,
    /// Of the same requests.
    pub time_shares: Option<TimeShares>,
    /// Unanswered requests that were due during the measurement, by kind.
    pub failures: BTreeMap<String, Failed>,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    pub requests: usize,
    /// The message of the first failure.
    pub reason: String,
}

impl Summary {
    /// Selects the samples in the measured range, which counts from the start of the load, as samples do.
    ///
    /// Throughput counts answers that arrived in the range. Latency counts requests that were due in it. Counting
    /// answers there would omit an overloaded server's slowest requests, which are answered after the end.
    #[must_use]
    pub fn of(samples: &[LoadSample], measured: Range<Duration>) -> Self {
        let mut summary = Self {
            elapsed: measured.end.saturating_sub(measured.start),
            ..Self::default()
        };
        let (mut latencies, mut timed) = (Vec::new(), Vec::new());
        for sample in samples {
            let due = measured.contains(&sample.due);
            let latency = sample.latency();
            match &sample.outcome {
                Ok(timings) => {
                    if measured.contains(&sample.finished) {
                        summary.answered.push(sample.request);
                    }
                    if due {
                        latencies.push(latency);
                        timed.extend(timings.map(|timings| (latency, timings)));
                    }
                }
                Err(failure) if due => summary.count(failure),
                Err(_) => {}
            }
        }
        summary.latency = Latency::of(latencies);
        summary.time_shares = TimeShares::of(&timed);
        summary
    }

    #[must_use]
    pub fn requests_per_second(&self) -> f64 {
        self.per_second(float(self.answered.len()))
    }

    /// Divides an amount by the duration of the measurement.
    #[must_use]
    pub fn per_second(&self, amount: f64) -> f64 {
        amount / self.elapsed.as_secs_f64()
    }

    fn count(&mut self, failure: &LoadFailure) {
        self.failures
            .entry(failure.kind.clone())
            .or_insert_with(|| Failed {
                requests: 0,
                reason: failure.reason.clone(),
            })
            .requests += 1;
    }
}

#[must_use]
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn sample(request: usize, due: u64, finished: u64) -> LoadSample {
        LoadSample {
            request,
            due: ms(due),
            finished: ms(finished),
            outcome: Ok(None),
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "whole milliseconds are exact")]
    fn percentiles_are_times_that_were_measured() {
        let latency = Latency::of((1..=1000).rev().map(ms).collect()).unwrap();
        assert_eq!(
            [
                latency.p50,
                latency.p90,
                latency.p99,
                latency.p999,
                latency.max
            ],
            [500.0, 900.0, 990.0, 999.0, 1000.0]
        );
        assert_eq!(latency.mean, 500.5);
        // With few samples, the highest percentiles equal the maximum.
        let few = Latency::of(vec![ms(30), ms(10), ms(20)]).unwrap();
        assert_eq!([few.p50, few.p90, few.p999], [20.0, 30.0, 30.0]);
        assert_eq!(Latency::of(vec![]), None);
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "whole milliseconds are exact")]
    fn throughput_counts_answers_and_latency_counts_what_was_due() {
        let samples = [
            sample(0, 50, 90),
            sample(1, 60, 150),
            sample(2, 100, 160),
            sample(3, 190, 400),
            sample(4, 200, 210),
        ];
        let summary = Summary::of(&samples, ms(100)..ms(200));
        assert_eq!(summary.answered, [1, 2]);
        assert_eq!(summary.requests_per_second(), 20.0);
        let latency = summary.latency.unwrap();
        assert_eq!((latency.p50, latency.max), (60.0, 210.0));
    }

    #[test]
    fn failures_are_counted_by_kind_with_the_first_reason() {
        let failed = |due: u64, kind: &str, reason: &str| LoadSample {
            outcome: Err(LoadFailure {
                kind: kind.to_owned(),
                reason: reason.to_owned(),
            }),
            ..sample(0, due, due + 1)
        };
        let samples = [
            failed(10, "429", "in the warm-up"),
            failed(120, "429", "full"),
            failed(130, "504", "late"),
            failed(140, "429", "full again"),
        ];
        let summary = Summary::of(&samples, ms(100)..ms(200));
        let found: Vec<_> = summary
            .failures
            .iter()
            .map(|(kind, failed)| (kind.as_str(), failed.requests, failed.reason.as_str()))
            .collect();
        assert_eq!(found, [("429", 2, "full"), ("504", 1, "late")]);
        assert!(summary.latency.is_none() && summary.answered.is_empty());
    }

    #[test]
    fn shares_of_time_are_those_of_all_requests_together() {
        let timings = Timings {
            tokenize: ms(10),
            queue: ms(20),
            inference: ms(50),
        };
        let times = [(ms(100), timings), (ms(300), Timings::default())];
        let shares = TimeShares::of(&times).unwrap();
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found}");
        close(shares.tokenizer, 0.025);
        close(shares.queue, 0.05);
        close(shares.graph, 0.125);
        close(shares.rest, 0.8);
        assert_eq!(TimeShares::of(&[]), None);
    }
}
