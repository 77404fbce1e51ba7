//! Drives a load against a target: warms up, measures, and first finds the maximum throughput if the rate is a share of
//! it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::batches::{BatchTotals, MeanBatch};
use super::load::{self, Arrivals, LoadTarget, Plan};
use super::statistics::Summary;

/// The default number of requests in flight per worker.
const CONCURRENCY_PER_WORKER: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// When requests are sent, as the user specifies it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// A closed loop with this many requests in flight. Eight per worker if `None`.
    Concurrency(Option<NonZeroUsize>),
    /// An open loop, in requests per second.
    Rate(f64),
    /// An open loop at this share of a closed loop's throughput.
    RateShare(f64),
}

/// A load, and how long it runs.
#[derive(Clone, Copy, Debug)]
pub struct Drive {
    pub load: Load,
    /// Time before the measurement.
    pub warm_up: Duration,
    /// Duration of the measurement.
    pub measured: Duration,
    /// Seed of the random times.
    pub seed: u64,
    /// The number of distinct requests.
    pub requests: NonZeroUsize,
    /// Threads that run models.
    pub workers: NonZeroUsize,
}

/// The result of a load.
#[derive(Clone, Debug)]
pub struct Driven {
    pub arrivals: Arrivals,
    /// A closed loop's throughput in requests per second, if it was measured.
    pub saturation: Option<f64>,
    pub summary: Summary,
    /// The mean batch, if the server reports it.
    pub batches: Option<MeanBatch>,
}

impl Drive {
    /// Drives a target. `totals` reads its batch counts.
    pub async fn run<T: LoadTarget>(
        &self,
        target: &Arc<T>,
        totals: impl AsyncFn() -> Option<BatchTotals>,
    ) -> Driven {
        let closed = |concurrency: Option<NonZeroUsize>| Arrivals::Closed {
            concurrency: concurrency
                .unwrap_or_else(|| self.workers.saturating_mul(CONCURRENCY_PER_WORKER)),
        };
        let (arrivals, saturation) = match self.load {
            Load::Concurrency(concurrency) => (closed(concurrency), None),
            Load::Rate(rate) => (Arrivals::Open { rate }, None),
            Load::RateShare(share) => {
                let (summary, _) = self.measure(target, closed(None), &totals).await;
                let reached = summary.requests_per_second();
                if reached <= 0.0 {
                    // No request was answered. The summary has the reasons.
                    return Driven {
                        arrivals: closed(None),
                        saturation: Some(reached),
                        summary,
                        batches: None,
                    };
                }
                let rate = share * reached;
                (Arrivals::Open { rate }, Some(reached))
            }
        };
        let (summary, batches) = self.measure(target, arrivals, &totals).await;
        Driven {
            arrivals,
            saturation,
            summary,
            batches,
        }
    }

    async fn measure<T: LoadTarget>(
        &self,
        target: &Arc<T>,
        arrivals: Arrivals,
        totals: &impl AsyncFn() -> Option<BatchTotals>,
    ) -> (Summary, Option<MeanBatch>) {
        let end = self.warm_up + self.measured;
        let plan = Plan {
            arrivals,
            duration: end,
            requests: self.requests,
            seed: self.seed,
        };
        let before = async {
            sleep(self.warm_up).await;
            totals().await
        };
        let (samples, before) = tokio::join!(load::run(target, plan), before);
        let after = totals().await;
        let batches = before
            .zip(after)
            .and_then(|(before, after)| after.since(before).mean());
        (Summary::of(&samples, self.warm_up..end), batches)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::load::{LoadFailure, Outcome};
    use super::*;

    /// Answers each request after a tenth of a second, in a batch of its own with five tokens.
    #[derive(Default)]
    struct Steady(AtomicU32);

    impl LoadTarget for Steady {
        async fn send(&self, _: usize) -> Outcome {
            sleep(Duration::from_millis(100)).await;
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(None)
        }
    }

    fn drive(load: Load) -> Drive {
        Drive {
            load,
            warm_up: Duration::from_secs(2),
            measured: Duration::from_secs(10),
            seed: 0,
            requests: NonZeroUsize::new(3).unwrap(),
            workers: NonZeroUsize::new(2).unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_warm_up_is_not_measured() {
        let target = Arc::new(Steady::default());
        let totals = async || {
            let batches = f64::from(target.0.load(Ordering::SeqCst));
            Some(BatchTotals {
                batches,
                sequences: batches,
                tokens: 5.0 * batches,
            })
        };
        let driven = drive(Load::Concurrency(None)).run(&target, totals).await;
        let concurrency = NonZeroUsize::new(16).unwrap();
        assert_eq!(driven.arrivals, Arrivals::Closed { concurrency });
        // 160 per second, apart from the edges.
        let answered = driven.summary.answered.len();
        assert!((1580..=1620).contains(&answered), "{answered}");
        let batches = driven.batches.unwrap();
        assert!((batches.tokens - 5.0).abs() < 1e-9, "{batches:?}");
        assert!((1580.0..=1640.0).contains(&batches.batches), "{batches:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_nothing_ends_with_the_reasons() {
        struct Full;
        impl LoadTarget for Full {
            async fn send(&self, _: usize) -> Outcome {
                sleep(Duration::from_millis(100)).await;
                Err(LoadFailure {
                    kind: "429".to_owned(),
                    reason: "full".to_owned(),
                })
            }
        }
        let driven = drive(Load::RateShare(0.5));
        let driven = driven.run(&Arc::new(Full), async || None).await;
        assert!(driven.summary.failures["429"].requests > 0);
        assert!(driven.summary.answered.is_empty() && driven.batches.is_none());
    }
}
