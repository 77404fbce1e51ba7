//! The queues of all models behind one lock, the worker threads that empty them, and the handle that requests go through.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::queue::{Answer, Batch, Queue, Ticket};
use super::{
    BatchError, BatchSizing, Cores, Model, Schedule, Sequence, SequenceOutput, WhenFull, policy,
    worker,
};
use crate::telemetry::metrics::{DropReason, Metrics, ModelMetrics};
use crate::telemetry::statistics::ModelStatistics;

/// Bounds of the advice given with [`BatchError::QueueFull`]: clients count in whole seconds, and an estimate beyond a
/// minute says no more than that the server is far behind.
const SHORTEST_RETRY: f64 = 1.0;
const LONGEST_RETRY: f64 = 60.0;

/// How much is run and how much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// Worker threads, for all models together.
    pub workers: NonZeroUsize,
    /// Sequences that may wait for a model that sets no bound of its own.
    pub queue_capacity: NonZeroUsize,
}

/// How one model's sequences wait and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueOptions {
    /// How large its batches are.
    pub sizing: BatchSizing,
    /// Sequences that may wait for it, where the scheduler's bound is not to hold.
    pub capacity: Option<NonZeroUsize>,
}

/// One pool of worker threads for the whole process, serving one bounded queue a model. Dropped, it closes: what was
/// accepted is still run.
pub struct Scheduler {
    shared: Arc<Shared>,
    metrics: Metrics,
    /// Every worker holds a receiver: the channel is closed when the last of them has ended.
    workers: watch::Sender<()>,
}

impl Scheduler {
    /// Starts the worker threads, named `electra-worker-N`. Time is read from the tokio runtime that this is called in,
    /// so a paused clock holds for the workers too; outside a runtime it is the system's.
    ///
    /// # Errors
    /// Where the operating system refuses to start a thread.
    pub fn start(options: SchedulerOptions, metrics: Metrics) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            work: Condvar::new(),
            room: Notify::new(),
        });
        // Dropped on the way out where a thread does not start, which ends those that did.
        let scheduler = Self {
            shared: Arc::clone(&shared),
            metrics,
            workers: watch::Sender::new(()),
        };
        let runtime = Handle::try_current().ok();
        for number in 0..options.workers.get() {
            let (shared, runtime) = (Arc::clone(&shared), runtime.clone());
            let running = scheduler.workers.subscribe();
            thread::Builder::new()
                .name(format!("electra-worker-{number}"))
                .spawn(move || {
                    let _running = running;
                    let _clock = runtime.as_ref().map(Handle::enter);
                    worker::serve(&shared);
                })?;
        }
        Ok(scheduler)
    }

    /// Adds a queue of a model; the metrics of that name exist from now on. The queue is there for as long as somebody
    /// holds its handle.
    pub fn add_model(
        &self,
        name: &str,
        model: Arc<dyn Model>,
        options: QueueOptions,
    ) -> ModelQueue {
        let metrics = self.metrics.model(name);
        let capacity = options
            .capacity
            .unwrap_or(self.shared.options.queue_capacity);
        let queue = Queue::new(name, model, options.sizing, capacity, metrics.clone());
        let mut state = self.shared.lock();
        let id = state.next_queue;
        state.next_queue = QueueId(id.0 + 1);
        state.queues.insert(id, queue);
        ModelQueue {
            lease: Arc::new(Lease {
                shared: Arc::clone(&self.shared),
                id,
                metrics,
            }),
        }
    }

    /// Accepts nothing any more; what was accepted is run.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        self.shared.room.notify_waiters();
    }

    /// Closes, and returns when all that was accepted has been run and the workers have ended.
    pub async fn drained(&self) {
        self.close();
        self.workers.closed().await;
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

/// Names a queue for as long as the scheduler lives; never used again after the queue is gone.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueId(u64);

/// A handle to one model's queue, cheap to clone. With the last of them the queue goes, and the model with it unless a
/// batch of it still runs.
#[derive(Clone)]
pub struct ModelQueue {
    lease: Arc<Lease>,
}

struct Lease {
    shared: Arc<Shared>,
    id: QueueId,
    metrics: ModelMetrics,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let queue = self.shared.lock().queues.remove(&self.id);
        // After the lock: the model may go with it.
        drop(queue);
    }
}

impl ModelQueue {
    /// What the model did since this queue was made for it.
    #[must_use]
    pub fn statistics(&self) -> &ModelStatistics {
        self.lease.metrics.statistics()
    }

    /// Runs the sequences of one request and returns their outputs in the same order. All of them are accepted, or none.
    /// Dropping the future takes back what has not begun to run.
    ///
    /// # Errors
    /// [`BatchError::QueueFull`] if the queue has no room for all of them and the request does not wait for it,
    /// [`BatchError::Closed`] after
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
        let mut pending = self.accepted(sequences, schedule, &answers).await?;
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

    /// Enqueues a request; where there is no room, refuses it or waits for some, as it wants.
    async fn accepted(
        &self,
        mut sequences: Vec<Sequence>,
        schedule: Schedule,
        answers: &UnboundedSender<Answer>,
    ) -> Result<Pending<'_>, BatchError> {
        loop {
            // From before the look into the queue, so that no room is missed that is made behind it.
            let room = self.lease.shared.room.notified();
            match self.enqueue(&mut sequences, schedule, answers) {
                Err(BatchError::QueueFull { .. }) if schedule.when_full == WhenFull::Wait => {
                    timeout_at(schedule.deadline, room)
                        .await
                        .map_err(|_| BatchError::DeadlineExceeded)?;
                }
                Err(refusal @ BatchError::QueueFull { .. }) => {
                    self.lease.metrics.request_rejected();
                    return Err(refusal);
                }
                outcome => return outcome,
            }
        }
    }

    /// Takes the sequences, if there is room for all of them.
    fn enqueue(
        &self,
        sequences: &mut Vec<Sequence>,
        schedule: Schedule,
        answers: &UnboundedSender<Answer>,
    ) -> Result<Pending<'_>, BatchError> {
        let count = sequences.len();
        let shared = &self.lease.shared;
        let mut state = shared.lock();
        if state.closed {
            return Err(BatchError::Closed);
        }
        let first_arrival = state.next_arrival;
        // There for as long as its lease is.
        let queue = state.queues.get_mut(&self.lease.id);
        let queue = queue.ok_or(BatchError::Closed)?;
        if !queue.has_room(count) {
            let retry_after = state.retry_after(shared.options.workers);
            return Err(BatchError::QueueFull { retry_after });
        }
        let sequences = std::mem::take(sequences);
        let ticket = queue.push(sequences, schedule, first_arrival, Instant::now(), answers);
        state.next_arrival = ticket.arrivals.end;
        let somebody_waits = state.idle > 0;
        drop(state);
        // A call to the kernel each time, which busy workers don't need.
        if somebody_waits {
            shared.work.notify_one();
        }
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
            let lease = &self.queue.lease;
            if let Some(queue) = lease.shared.lock().queues.get_mut(&lease.id) {
                queue.withdraw(&self.ticket, reason);
            }
            lease.shared.room.notify_waiters();
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
    /// Told when sequences have left a queue.
    room: Notify,
}

/// What a worker is to run.
pub(super) struct Assignment {
    pub queue: QueueId,
    pub batch: Batch,
    pub cores: Cores,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<QueueId, Queue>,
    next_queue: QueueId,
    next_arrival: u64,
    /// Workers that wait for work.
    idle: usize,
    /// Workers that run a batch. Those that answer one are neither these nor idle: they are free in a moment.
    running: usize,
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
                let workers = self.options.workers;
                if let Some((queue, batch)) = state.take_batch(Instant::now(), workers) {
                    let cores = state.cores_for(queue, &batch);
                    state.running += 1;
                    if state.idle > 0 && state.something_waits() {
                        self.work.notify_one();
                    }
                    self.room.notify_waiters();
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
    pub(super) fn finished(&self, queue: QueueId, cores: Cores, tokens: usize, elapsed: Duration) {
        let mut state = self.lock();
        state.running -= 1;
        match cores {
            Cores::One => {
                // Gone if the model was taken out while its last batch ran.
                if let Some(queue) = state.queues.get_mut(&queue) {
                    queue.record(tokens, elapsed);
                }
            }
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
    fn take_batch(&mut self, now: Instant, workers: NonZeroUsize) -> Option<(QueueId, Batch)> {
        for queue in self.queues.values_mut() {
            queue.drop_expired(now);
        }
        let (_, id) = self
            .queues
            .iter()
            .filter_map(|(&id, queue)| Some((queue.most_urgent()?, id)))
            .min()?;
        let waiting = self.queues.values().map(Queue::tokens).sum();
        let free_workers = NonZeroUsize::new(workers.get().saturating_sub(self.running));
        let free_workers = free_workers.unwrap_or(NonZeroUsize::MIN);
        let queue = self.queues.get_mut(&id)?;
        let tokens = policy::share(queue.token_budget(), waiting, free_workers);
        Some((id, queue.take_batch(tokens, now)))
    }

    /// Gives a batch all cores if it is the only one there is and gains by them.
    fn cores_for(&mut self, queue: QueueId, batch: &Batch) -> Cores {
        if self.running > 0 || self.something_waits() {
            return Cores::One;
        }
        let queue = self.queues.get(&queue);
        let cores = queue.map_or(Cores::One, |queue| {
            queue.cores_of_a_lone_batch(batch.tokens())
        });
        self.all_cores_taken = cores == Cores::All;
        cores
    }

    fn something_waits(&self) -> bool {
        self.queues
            .values()
            .any(|queue| queue.most_urgent().is_some())
    }

    /// When the work that waits now, of all models since they share the workers, should be done.
    fn retry_after(&self, workers: NonZeroUsize) -> Duration {
        let workers = u32::try_from(workers.get()).unwrap_or(u32::MAX);
        let backlog: f64 = self.queues.values().map(Queue::backlog_seconds).sum();
        let seconds = (backlog / f64::from(workers)).clamp(SHORTEST_RETRY, LONGEST_RETRY);
        Duration::from_secs_f64(seconds)
    }
}
