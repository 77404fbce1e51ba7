//! Drives a load against a target: warms up, measures, and finds out the rate where that is a share of what can be reached.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::batches::{BatchTotals, MeanBatch};
use super::load::{self, Arrivals, Plan, Target};
use super::statistics::Summary;

/// Requests in flight a worker, where nothing is said.
const CONCURRENCY_PER_WORKER: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// When requests are sent, as a user says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// A closed loop of so many requests in flight, or of eight a worker.
    Concurrency(Option<NonZeroUsize>),
    /// An open loop of so many requests a second.
    Rate(f64),
    /// An open loop of this share of what a closed loop reaches.
    RateShare(f64),
}

/// How long and how hard a target is driven.
#[derive(Clone, Copy, Debug)]
pub struct Drive {
    /// When requests are sent.
    pub load: Load,
    /// Time at the start that is not measured.
    pub warm_up: Duration,
    /// Time that is measured.
    pub measured: Duration,
    /// What random times are made of.
    pub seed: u64,
    /// Distinct requests.
    pub requests: NonZeroUsize,
    /// Threads that run models.
    pub workers: NonZeroUsize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Driven {
    /// When requests were sent.
    pub arrivals: Arrivals,
    /// Requests a second that a closed loop reached, where it had to be found out.
    pub saturation: Option<f64>,
    /// What was measured.
    pub summary: Summary,
    /// The mean batch, where the server tells.
    pub batches: Option<MeanBatch>,
}

impl Drive {
    /// Drives a target whose batches `totals` counts.
    pub async fn run<T: Target>(
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
                    // Nothing is answered, and the reasons are in the summary.
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

    async fn measure<T: Target>(
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

    use super::super::load::{Failure, Outcome};
    use super::*;

    /// Answers each request after a tenth of a second, in a batch of its own of five tokens.
    #[derive(Default)]
    struct Steady(AtomicU32);

    impl Target for Steady {
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
        // 160 a second, but for the edges.
        let answered = driven.summary.answered.len();
        assert!((1580..=1620).contains(&answered), "{answered}");
        let batches = driven.batches.unwrap();
        assert!((batches.tokens - 5.0).abs() < 1e-9, "{batches:?}");
        assert!((1580.0..=1640.0).contains(&batches.batches), "{batches:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_nothing_ends_with_the_reasons() {
        struct Full;
        impl Target for Full {
            async fn send(&self, _: usize) -> Outcome {
                sleep(Duration::from_millis(100)).await;
                Err(Failure {
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
