//! Sends requests in a closed or an open loop and records the result of each. Independent of transport.

use std::error::Error;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::service::Timings;

/// The client-side timeout of a request: twice the server's default.
const PATIENCE: Duration = Duration::from_mins(1);

/// The most bytes read from a response.
pub const LONGEST_ANSWER: usize = 64 << 20;
/// The longest reason shown for a failure.
const LONGEST_REASON: usize = 300;

/// Answers requests, identified by index.
pub trait LoadTarget: Send + Sync + 'static {
    /// Sends a request and waits for its response.
    fn send(&self, request: usize) -> impl Future<Output = Outcome> + Send;
}

/// The timings of an answered request, if the server reports them.
pub type Outcome = Result<Option<Timings>, LoadFailure>;

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFailure {
    /// The key by which failures are counted: a status such as `429` or `UNAVAILABLE`, or `connection`.
    pub kind: String,
    /// A sentence about this failure.
    pub reason: String,
}

impl LoadFailure {
    /// A failure that the server reports.
    #[must_use]
    pub fn new(kind: String, reason: &str) -> Self {
        Self {
            kind,
            reason: reason.chars().take(LONGEST_REASON).collect(),
        }
    }

    /// A failed or lost connection: the error with its sources.
    #[must_use]
    pub fn broken(error: &dyn Error) -> Self {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        let mut reasons: Vec<String> = causes.map(ToString::to_string).collect();
        // An error that wraps another may repeat the other's text.
        reasons.dedup();
        Self::new("connection".to_owned(), &reasons.join(": "))
    }
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// A fixed number of requests in flight: each answer is followed by the next request.
    Closed {
        /// Requests in flight.
        concurrency: NonZeroUsize,
    },
    /// At random times, independent of answers, as independent clients send: a Poisson process.
    Open {
        /// The mean in requests per second, above 0.
        rate: f64,
    },
}

/// A load.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub arrivals: Arrivals,
    /// How long requests are sent. The last ones are answered later.
    pub duration: Duration,
    /// The number of distinct requests. They are sent in order, repeatedly.
    pub requests: NonZeroUsize,
    /// Seed of the random times.
    pub seed: u64,
}

/// The result of one request. Times count from the start of the load.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSample {
    /// The request's index.
    pub request: usize,
    /// When the request was due. In an open loop, this is its scheduled time, even if it was sent later. A server that
    /// stalls delays all requests that become due meanwhile, and a clock that starts at sending would hide this.
    pub due: Duration,
    /// When its response was complete.
    pub finished: Duration,
    pub outcome: Outcome,
}

impl LoadSample {
    /// The client's waiting time, from when the request was due.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.finished.saturating_sub(self.due)
    }
}

/// Sends a load, and returns when all its requests are answered.
pub async fn run<T: LoadTarget>(target: &Arc<T>, plan: Plan) -> Vec<LoadSample> {
    let start = Instant::now();
    match plan.arrivals {
        Arrivals::Closed { concurrency } => closed_loop(target, plan, concurrency, start).await,
        Arrivals::Open { rate } => {
            let due = arrivals(rate, plan.duration, plan.seed);
            open_loop(target, plan, start, on_time(due, start)).await
        }
    }
}

async fn closed_loop<T: LoadTarget>(
    target: &Arc<T>,
    plan: Plan,
    concurrency: NonZeroUsize,
    start: Instant,
) -> Vec<LoadSample> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..concurrency.get() {
        let (target, next) = (Arc::clone(target), Arc::clone(&next));
        clients.spawn(async move {
            let mut samples = Vec::new();
            while start.elapsed() < plan.duration {
                let request = next.fetch_add(1, Ordering::Relaxed) % plan.requests;
                samples.push(send(&*target, request, start, start.elapsed()).await);
            }
            samples
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

/// Sends a request at each arrival.
async fn open_loop<T: LoadTarget>(
    target: &Arc<T>,
    plan: Plan,
    start: Instant,
    mut arrivals: UnboundedReceiver<Duration>,
) -> Vec<LoadSample> {
    let mut requests = JoinSet::new();
    while let Some(due) = arrivals.recv().await {
        let (target, request) = (Arc::clone(target), requests.len() % plan.requests);
        requests.spawn(async move { send(&*target, request, start, due).await });
    }
    requests.join_all().await
}

/// Sends each time when it arrives. Runs on its own thread, which wakes within a few tenths of a millisecond. tokio's
/// timer is one to two milliseconds late, which would add to all latencies.
fn on_time(
    times: impl Iterator<Item = Duration> + Send + 'static,
    start: Instant,
) -> UnboundedReceiver<Duration> {
    let (sender, arrivals) = mpsc::unbounded_channel();
    let start = start.into_std();
    std::thread::spawn(move || {
        for due in times {
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            if sender.send(due).is_err() {
                return;
            }
        }
    });
    arrivals
}

/// The arrival times of a Poisson process.
fn arrivals(rate: f64, duration: Duration, seed: u64) -> impl Iterator<Item = Duration> {
    let mut random = Rng::with_seed(seed);
    let mut seconds = 0.0;
    std::iter::repeat_with(move || {
        // Times between arrivals are distributed exponentially. 1 - f64() is never 0.
        seconds -= (1.0 - random.f64()).ln() / rate;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    })
    .take_while(move |due| *due < duration)
}

async fn send<T: LoadTarget>(
    target: &T,
    request: usize,
    start: Instant,
    due: Duration,
) -> LoadSample {
    let outcome = timeout(PATIENCE, target.send(request))
        .await
        .unwrap_or_else(|_| {
            Err(LoadFailure {
                kind: "no answer".to_owned(),
                reason: format!("no answer came within {} s", PATIENCE.as_secs()),
            })
        });
    LoadSample {
        request,
        due,
        finished: start.elapsed(),
        outcome,
    }
}

#[cfg(test)]
mod tests;
