//! The scheduler, which starts the worker threads, and the handles by which requests reach its queues.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::output::{BatchError, SequenceOutput};
use super::pool::{Pool, QueueId};
use super::queue::{Queue, SequenceAnswer, Ticket};
use super::schedule::{Schedule, WhenFull};
use super::sizing::BatchSizing;
use super::worker;
use crate::inference::{Model, Sequence};
use crate::telemetry::metrics::{DropReason, Metrics, ModelMetrics};
use crate::telemetry::statistics::ModelStatistics;

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
    pool: Arc<Pool>,
    queue_capacity: NonZeroUsize,
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
        let pool = Arc::new(Pool::new(options.workers));
        // Dropped on the way out where a thread does not start, which ends those that did.
        let scheduler = Self {
            pool: Arc::clone(&pool),
            queue_capacity: options.queue_capacity,
            metrics,
            workers: watch::Sender::new(()),
        };
        let runtime = Handle::try_current().ok();
        for number in 0..options.workers.get() {
            let (pool, runtime) = (Arc::clone(&pool), runtime.clone());
            let running = scheduler.workers.subscribe();
            thread::Builder::new()
                .name(format!("electra-worker-{number}"))
                .spawn(move || {
                    let _running = running;
                    let _clock = runtime.as_ref().map(Handle::enter);
                    worker::serve(&pool);
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
        let capacity = options.capacity.unwrap_or(self.queue_capacity);
        let queue = Queue::new(name, model, options.sizing, capacity, metrics.clone());
        let id = self.pool.add_queue(queue);
        ModelQueue {
            lease: Arc::new(Lease {
                pool: Arc::clone(&self.pool),
                id,
                metrics,
            }),
        }
    }

    /// Accepts nothing any more; what was accepted is run.
    pub fn close(&self) {
        self.pool.close();
    }

    /// Closes, and returns when all that was accepted has been run and the workers have ended.
    pub async fn drained(&self) {
        self.close();
        self.workers.closed().await;
    }

    /// Workers that wait for work at this moment.
    #[cfg(test)]
    pub(super) fn idle_workers(&self) -> usize {
        self.pool.idle_workers()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.close();
    }
}

/// A handle to one model's queue, cheap to clone. With the last of them the queue goes, and the model with it unless a
/// batch of it still runs.
#[derive(Clone)]
pub struct ModelQueue {
    lease: Arc<Lease>,
}

struct Lease {
    pool: Arc<Pool>,
    id: QueueId,
    metrics: ModelMetrics,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.remove_queue(self.id);
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
        let mut pending = self.accept(sequences, schedule, &answers).await?;
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
    async fn accept(
        &self,
        mut sequences: Vec<Sequence>,
        schedule: Schedule,
        answers: &UnboundedSender<SequenceAnswer>,
    ) -> Result<Pending<'_>, BatchError> {
        loop {
            // From before the look into the queue, so that no room is missed that is made behind it.
            let room = self.lease.pool.room();
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
        answers: &UnboundedSender<SequenceAnswer>,
    ) -> Result<Pending<'_>, BatchError> {
        let Lease { pool, id, .. } = self.lease.as_ref();
        let ticket = pool.enqueue(*id, sequences, schedule, answers)?;
        Ok(Pending {
            queue: self,
            ticket,
            outcome: Outcome::Withdrawn(DropReason::Cancelled),
        })
    }
}

/// Gathers a request's answers, which come in any order. The first failure ends it.
async fn collect(
    mut inbox: UnboundedReceiver<SequenceAnswer>,
    count: usize,
) -> Result<Vec<SequenceOutput>, BatchError> {
    let mut outputs = vec![None; count];
    for _ in 0..count {
        let SequenceAnswer { position, outcome } = inbox
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
            lease.pool.withdraw(lease.id, &self.ticket, reason);
        }
    }
}
