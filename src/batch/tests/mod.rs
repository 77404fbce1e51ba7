//! Tests of the scheduler on a paused clock, with a model that the test controls. No test here sleeps.

mod accepting;
mod forming;
mod simulated;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as blocking;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, advance};

use super::*;
use crate::client::Client;
use crate::inference::{Cores, InferenceError, Model, Sequence};
use crate::telemetry::metrics::Metrics;
use crate::testing::{HeldClock, eventually, soon};

const MINUTE: Duration = Duration::from_mins(1);

/// The test's order to a running batch. A batch whose orders are dropped answers.
enum Order {
    Answer,
    Fail,
    Panic,
    LoseOne,
}

/// A batch that runs until it receives an order.
struct Run {
    /// The first token id of each sequence, by which tests name it.
    names: Vec<u32>,
    cores: Cores,
    order: blocking::Sender<Order>,
}

impl Run {
    fn finish(self, order: Order) {
        self.order.send(order).expect("the batch waits");
    }
}

/// Hands each of its runs to the test. The logits of a sequence are its ids.
struct ToldModel {
    runs: mpsc::UnboundedSender<Run>,
    running: AtomicUsize,
    most_running: AtomicUsize,
    pads_to_longest: bool,
}

impl Model for ToldModel {
    fn run(&self, batch: &[&Sequence], cores: Cores) -> Result<Vec<Vec<f32>>, InferenceError> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        let (order, orders) = blocking::channel();
        let names = batch.iter().map(|sequence| sequence.ids[0]).collect();
        let _ = self.runs.send(Run {
            names,
            cores,
            order,
        });
        let order = orders.recv().unwrap_or(Order::Answer);
        self.running.fetch_sub(1, Ordering::SeqCst);
        let mut outputs: Vec<Vec<f32>> = batch.iter().map(|sequence| logits(sequence)).collect();
        match order {
            Order::Answer => Ok(outputs),
            Order::Fail => Err(InferenceError::model("out of memory")),
            Order::Panic => panic!("told to"),
            Order::LoseOne => {
                outputs.pop();
                Ok(outputs)
            }
        }
    }

    fn pads_to_longest(&self) -> bool {
        self.pads_to_longest
    }
}

#[allow(clippy::cast_precision_loss, reason = "test ids are small")]
fn logits(sequence: &Sequence) -> Vec<f32> {
    sequence.ids.iter().map(|&id| id as f32).collect()
}

/// A model's queue, and the runs of that model.
struct Told {
    queue: ModelQueue,
    runs: mpsc::UnboundedReceiver<Run>,
    model: Arc<ToldModel>,
}

impl Told {
    async fn next_run(&mut self) -> Run {
        soon("the model runs a batch", self.runs.recv())
            .await
            .expect("the model lives")
    }

    /// Waits for the next batch, checks its sequences, and lets it finish.
    async fn expect_run(&mut self, names: &[u32]) {
        let run = self.next_run().await;
        assert_eq!(run.names, names);
        run.finish(Order::Answer);
    }

    /// Occupies a worker until the returned run is finished.
    async fn occupy(&mut self) -> Run {
        drop(tokio::spawn({
            let queue = self.queue.clone();
            async move { queue.submit(vec![sequence(0, 1)], within(MINUTE)).await }
        }));
        self.next_run().await
    }
}

struct Bench {
    scheduler: Arc<Scheduler>,
    metrics: Metrics,
    sizing: BatchSizing,
    _clock: HeldClock,
}

impl Bench {
    fn new(workers: usize, queue_capacity: usize, batch_tokens: usize) -> Self {
        let metrics = Metrics::new("0");
        let options = SchedulerOptions {
            workers: count(workers),
            queue_capacity: count(queue_capacity),
            longest_wait: Duration::from_secs(1),
        };
        Self {
            scheduler: Arc::new(Scheduler::start(options, metrics.clone()).expect("threads start")),
            metrics,
            sizing: BatchSizing {
                batch_tokens: count(batch_tokens),
                all_cores_from: None,
            },
            _clock: HeldClock::new(),
        }
    }

    /// In models added from now on, lone batches of at least `tokens` tokens run on all cores.
    fn all_cores_from(mut self, tokens: usize) -> Self {
        self.sizing.all_cores_from = Some(count(tokens));
        self
    }

    fn model(&self, name: &str) -> Told {
        self.add(name, false, None)
    }

    fn padded_model(&self, name: &str) -> Told {
        self.add(name, true, None)
    }

    /// A model for which at most `capacity` sequences may wait.
    fn bounded_model(&self, name: &str, capacity: usize) -> Told {
        self.add(name, false, Some(count(capacity)))
    }

    fn add(&self, name: &str, pads_to_longest: bool, capacity: Option<NonZeroUsize>) -> Told {
        let (sender, runs) = mpsc::unbounded_channel();
        let model = Arc::new(ToldModel {
            runs: sender,
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            pads_to_longest,
        });
        let options = QueueOptions {
            sizing: self.sizing,
            capacity,
        };
        Told {
            queue: self.scheduler.add_model(name, model.clone(), options),
            runs,
            model,
        }
    }

    /// Returns once `workers` workers wait for work.
    async fn idle(&self, workers: usize) {
        eventually("the workers are idle", async || {
            self.scheduler.idle_workers() >= workers
        })
        .await;
    }

    fn expect_metric(&self, series: &str, value: &str) {
        assert_eq!(metric(&self.metrics, series), value, "{series}");
    }
}

/// The value of one series in the metrics' text format.
fn metric(metrics: &Metrics, series: &str) -> String {
    let exposition = metrics.encode().expect("metrics encode");
    let value = exposition
        .lines()
        .find_map(|line| line.strip_prefix(series));
    match value {
        Some(value) => value.trim().to_owned(),
        None => panic!("{series} is not in\n{exposition}"),
    }
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("a positive number")
}

/// A sequence of `tokens` tokens, named by its first.
fn sequence(name: u32, tokens: usize) -> Sequence {
    let mut ids = vec![1; tokens];
    ids[0] = name;
    Sequence {
        ids,
        type_ids: vec![0; tokens],
    }
}

fn within(time: Duration) -> Schedule {
    Schedule {
        client: Client::Local,
        priority: Priority::default(),
        deadline: Instant::now() + time,
        when_full: WhenFull::Refuse,
    }
}

/// Of a client of the network, unlike this process, whose requests are never refused for their wait.
fn from_client(number: u8, time: Duration) -> Schedule {
    Schedule {
        client: IpAddr::from([192, 0, 2, number]).into(),
        ..within(time)
    }
}

fn with_priority(number: u8) -> Schedule {
    Schedule {
        priority: Priority::try_from(number).expect("a priority"),
        ..within(MINUTE)
    }
}

type Outputs = Result<Vec<SequenceOutput>, BatchError>;
type Submitted = Pin<Box<dyn Future<Output = Outputs> + Send>>;

/// Submits a request. When this returns, the queue has accepted it.
fn submit(queue: &ModelQueue, sequences: Vec<Sequence>, schedule: Schedule) -> Submitted {
    let queue = queue.clone();
    let mut submitted: Submitted = Box::pin(async move { queue.submit(sequences, schedule).await });
    let poll = submitted
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending(), "refused: {poll:?}");
    submitted
}

/// Submits a request that is refused at once.
fn refusal(queue: &ModelQueue, sequences: Vec<Sequence>, schedule: Schedule) -> BatchError {
    let submitted = std::pin::pin!(queue.submit(sequences, schedule));
    match submitted.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outputs) => outputs.expect_err("a refusal"),
        Poll::Pending => panic!("the request was accepted"),
    }
}

fn names(outputs: Outputs) -> Vec<u32> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "test ids are small whole numbers"
    )]
    outputs
        .expect("outputs")
        .iter()
        .map(|output| output.logits[0] as u32)
        .collect()
}
