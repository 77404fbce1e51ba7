//! The queues of all models behind one lock, the worker threads that empty them, and the handle that requests go through.

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, timeout_at};

use super::queue::{Answer, Batch, Queue, Ticket};
use super::{
    BatchError, BatchSizing, Cores, Model, Schedule, Sequence, SequenceOutput, policy, worker,
};
use crate::telemetry::metrics::{DropReason, Metrics, ModelMetrics};

/// Bounds of the advice given with [`BatchError::QueueFull`]: clients count in whole seconds, and an estimate beyond a
/// minute says no more than that the server is far behind.
const SHORTEST_RETRY: f64 = 1.0;
const LONGEST_RETRY: f64 = 60.0;

/// How much is run and how much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// Worker threads, for all models together.
    pub workers: NonZeroUsize,
    /// Sequences that may wait for one model.
    pub queue_capacity: NonZeroUsize,
}

/// One pool of worker threads for the whole process, serving one bounded queue a model. Dropped, it closes: what was
/// accepted is still run.
pub struct Scheduler {
    shared: Arc<Shared>,
    metrics: Metrics,
    /// Every worker holds a sender and sends nothing: the channel ends with the last worker.
    workers: mpsc::Receiver<()>,
}

impl Scheduler {
    /// Starts the worker threads, named `electra-worker-N`. Time is read from the tokio runtime that this is called in,
    /// so a paused clock holds for the workers too; outside a runtime it is the system's.
    ///
    /// # Panics
    /// If the operating system refuses to start a thread, as [`thread::spawn`] does.
    #[must_use]
    pub fn start(options: SchedulerOptions, metrics: Metrics) -> Self {
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            work: Condvar::new(),
        });
        let (running, workers) = mpsc::channel(1);
        let runtime = Handle::try_current().ok();
        for number in 0..options.workers.get() {
            let (shared, runtime, running) =
                (Arc::clone(&shared), runtime.clone(), running.clone());
            thread::Builder::new()
                .name(format!("electra-worker-{number}"))
                .spawn(move || {
                    let _running = running;
                    let _clock = runtime.as_ref().map(Handle::enter);
                    worker::serve(&shared);
                })
                .unwrap_or_else(|error| panic!("worker thread {number} does not start: {error}"));
        }
        Self {
            shared,
            metrics,
            workers,
        }
    }

    /// Adds a model's queue; its metrics exist from now on.
    pub fn add_model(&self, name: &str, model: Arc<dyn Model>, sizing: BatchSizing) -> ModelQueue {
        let metrics = self.metrics.model(name);
        let mut state = self.shared.lock();
        state
            .queues
            .push(Queue::new(name, model, sizing, metrics.clone()));
        ModelQueue {
            shared: Arc::clone(&self.shared),
            index: state.queues.len() - 1,
            metrics,
        }
    }

    /// Accepts nothing any more; what was accepted is run.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }

    /// Closes, and returns when all that was accepted has been run and the workers have ended.
    pub async fn drained(mut self) {
        self.close();
        while self.workers.recv().await.is_some() {}
    }

    /// Workers that wait for work at this moment.
    #[cfg(test)]
    pub(super) fn idle_workers(&self) -> usize {
        self.shared.lock().idle
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.close();
    }
}

/// A handle to one model's queue, cheap to clone.
#[derive(Clone)]
pub struct ModelQueue {
    shared: Arc<Shared>,
    index: usize,
    metrics: ModelMetrics,
}

impl ModelQueue {
    /// Runs the sequences of one request and returns their outputs in the same order. All of them are accepted, or none.
    /// Dropping the future takes back what has not begun to run.
    ///
    /// # Errors
    /// [`BatchError::QueueFull`] if the queue has no room for all of them, [`BatchError::Closed`] after
    /// [`Scheduler::close`], [`BatchError::DeadlineExceeded`] as soon as the deadline passes, and
    /// [`BatchError::Inference`] if the model fails on one of them.
    ///
    /// # Panics
    /// Outside a tokio runtime with its timer enabled.
    pub async fn submit(
        &self,
        sequences: Vec<Sequence>,
        schedule: Schedule,
    ) -> Result<Vec<SequenceOutput>, BatchError> {
        let count = sequences.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let (answers, inbox) = mpsc::unbounded_channel();
        let mut pending = self.enqueue(sequences, schedule, &answers)?;
        drop(answers);
        let result = timeout_at(schedule.deadline, collect(inbox, count))
            .await
            .unwrap_or(Err(BatchError::DeadlineExceeded));
        pending.outcome = match &result {
            Ok(_) => Outcome::Complete,
            Err(BatchError::DeadlineExceeded) => Outcome::Withdrawn(DropReason::Expired),
            Err(_) => Outcome::Withdrawn(DropReason::Cancelled),
        };
        result
    }

    fn enqueue(
        &self,
        sequences: Vec<Sequence>,
        schedule: Schedule,
        answers: &UnboundedSender<Answer>,
    ) -> Result<Pending<'_>, BatchError> {
        let count = sequences.len();
        let mut state = self.shared.lock();
        if state.closed {
            return Err(BatchError::Closed);
        }
        let capacity = self.shared.options.queue_capacity;
        if !state.queues[self.index].has_room(count, capacity) {
            let retry_after = state.retry_after(self.shared.options.workers);
            drop(state);
            self.metrics.request_rejected();
            return Err(BatchError::QueueFull { retry_after });
        }
        let first_arrival = state.next_arrival;
        let ticket = state.queues[self.index].push(
            sequences,
            schedule,
            first_arrival,
            Instant::now(),
            answers,
        );
        state.next_arrival = ticket.arrivals.end;
        drop(state);
        self.shared.work.notify_one();
        Ok(Pending {
            queue: self,
            ticket,
            outcome: Outcome::Withdrawn(DropReason::Cancelled),
        })
    }
}

/// Gathers a request's answers, which come in any order. The first failure ends it.
async fn collect(
    mut inbox: UnboundedReceiver<Answer>,
    count: usize,
) -> Result<Vec<SequenceOutput>, BatchError> {
    let mut outputs = vec![None; count];
    for _ in 0..count {
        let (position, outcome) = inbox
            .recv()
            .await
            .ok_or_else(|| BatchError::Inference("its worker has ended".to_owned()))?;
        outputs[position] = Some(outcome?);
    }
    Ok(outputs.into_iter().flatten().collect())
}

/// An accepted request. Dropped before it is complete (answered, expired, failed or its client gone), it withdraws what
/// has not begun to run, so that nothing dead takes room in the queue.
struct Pending<'queue> {
    queue: &'queue ModelQueue,
    ticket: Ticket,
    outcome: Outcome,
}

enum Outcome {
    Complete,
    Withdrawn(DropReason),
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Outcome::Withdrawn(reason) = self.outcome {
            let mut state = self.queue.shared.lock();
            state.queues[self.queue.index].withdraw(&self.ticket, reason);
        }
    }
}

/// What requests and workers share.
pub(super) struct Shared {
    options: SchedulerOptions,
    /// Held for moments: never across a run or an await.
    state: Mutex<State>,
    /// Signalled when sequences arrive, when all cores become free again, and when the scheduler closes.
    work: Condvar,
}

/// What a worker is to run.
pub(super) struct Assignment {
    /// The queue's index.
    pub queue: usize,
    pub batch: Batch,
    pub cores: Cores,
}

#[derive(Default)]
struct State {
    queues: Vec<Queue>,
    next_arrival: u64,
    /// Workers that wait for work.
    idle: usize,
    /// Whether one batch has all cores: no worker takes another until it is done.
    all_cores_taken: bool,
    closed: bool,
}

impl Shared {
    /// Waits for work and takes the next batch; `None` once the scheduler is closed and empty. A worker that leaves
    /// something behind wakes the next: a request wakes one, however many sequences it brings.
    pub(super) fn next_batch(&self) -> Option<Assignment> {
        let mut state = self.lock();
        loop {
            if !state.all_cores_taken {
                if let Some((queue, batch)) = state.take_batch(Instant::now()) {
                    let cores = state.cores_for(queue, &batch, self.options.workers);
                    if state.idle > 0 && state.something_waits() {
                        self.work.notify_one();
                    }
                    return Some(Assignment {
                        queue,
                        batch,
                        cores,
                    });
                }
                if state.closed {
                    return None;
                }
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Notes what a batch took, and frees the cores that it had beside the worker's own.
    pub(super) fn finished(&self, queue: usize, cores: Cores, tokens: usize, elapsed: Duration) {
        let mut state = self.lock();
        match cores {
            Cores::One => state.queues[queue].record(tokens, elapsed),
            // What one worker takes for a token can't be told from it.
            Cores::All => {
                state.all_cores_taken = false;
                drop(state);
                self.work.notify_all();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_batch(&mut self, now: Instant) -> Option<(usize, Batch)> {
        for queue in &mut self.queues {
            queue.drop_expired(now);
        }
        let (_, index) = self
            .queues
            .iter()
            .enumerate()
            .filter_map(|(index, queue)| Some((queue.most_urgent()?, index)))
            .min()?;
        let waiting = self.queues.iter().map(Queue::tokens).sum();
        let free_workers = NonZeroUsize::MIN.saturating_add(self.idle);
        let queue = &mut self.queues[index];
        let tokens = policy::share(queue.token_budget(), waiting, free_workers);
        Some((index, queue.take_batch(tokens, now)))
    }

    /// Gives a batch all cores if it is the only one there is and gains by them.
    fn cores_for(&mut self, queue: usize, batch: &Batch, workers: NonZeroUsize) -> Cores {
        let others_idle = self.idle + 1 == workers.get();
        if !others_idle || self.something_waits() {
            return Cores::One;
        }
        let cores = self.queues[queue].cores_of_a_lone_batch(batch.tokens());
        self.all_cores_taken = cores == Cores::All;
        cores
    }

    fn something_waits(&self) -> bool {
        self.queues
            .iter()
            .any(|queue| queue.most_urgent().is_some())
    }

    /// When the work that waits now, of all models since they share the workers, should be done.
    fn retry_after(&self, workers: NonZeroUsize) -> Duration {
        let workers = u32::try_from(workers.get()).unwrap_or(u32::MAX);
        let backlog: f64 = self.queues.iter().map(Queue::backlog_seconds).sum();
        let seconds = (backlog / f64::from(workers)).clamp(SHORTEST_RETRY, LONGEST_RETRY);
        Duration::from_secs_f64(seconds)
    }
}
