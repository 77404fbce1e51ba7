//! The scheduler, which starts the worker threads, and the handles through which requests reach its queues.

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
use crate::inference::{InferenceError, Model, Sequence};
use crate::telemetry::metrics::{DropReason, Metrics, ModelMetrics};
use crate::telemetry::statistics::ModelStatistics;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// Worker threads, for all models together.
    pub workers: NonZeroUsize,
    /// The most sequences that may wait for a model, unless the model sets its own limit.
    pub queue_capacity: NonZeroUsize,
}

/// Batching options of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueOptions {
    pub sizing: BatchSizing,
    /// The most sequences that may wait. The scheduler's limit applies if `None`.
    pub capacity: Option<NonZeroUsize>,
}

/// One pool of worker threads for the whole process, and one bounded queue per model. Dropping it closes it: sequences
/// already accepted still run.
pub struct Scheduler {
    pool: Arc<Pool>,
    queue_capacity: NonZeroUsize,
    metrics: Metrics,
    /// Every worker holds a receiver, so the channel closes when the last worker ends.
    workers: watch::Sender<()>,
}

impl Scheduler {
    /// Starts the worker threads, named `electra-worker-N`. If called in a tokio runtime, its clock applies to the
    /// workers too, even if paused. Otherwise the system's clock applies.
    ///
    /// # Errors
    /// If the operating system can't start a thread.
    pub fn start(options: SchedulerOptions, metrics: Metrics) -> io::Result<Self> {
        let pool = Arc::new(Pool::new(options.workers));
        // If a thread does not start, dropping this on return ends those that did.
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

    /// Adds a queue for a model, and its metrics under that name. The queue lives as long as its handles.
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

    /// Stops accepting requests. Accepted ones still run.
    pub fn close(&self) {
        self.pool.close();
    }

    /// Closes the scheduler, and returns once everything accepted has run and the workers have ended.
    pub async fn drained(&self) {
        self.close();
        self.workers.closed().await;
    }

    /// Workers waiting for work at this moment.
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

/// A handle to one model's queue, cheap to clone. When the last handle is dropped, so is the queue, and the model
/// unless one of its batches still runs.
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
    /// Counts since this queue was created.
    #[must_use]
    pub fn statistics(&self) -> &ModelStatistics {
        self.lease.metrics.statistics()
    }

    /// Runs the sequences of one request and returns their outputs in the same order. Accepts either all of them or
    /// none. Dropping the future removes those that have not started to run.
    ///
    /// # Errors
    /// [`BatchError::QueueFull`] if the queue has no room for all of them and the request does not wait,
    /// [`BatchError::Closed`] after [`Scheduler::close`], [`BatchError::DeadlineExceeded`] as soon as the deadline
    /// passes, and [`BatchError::Inference`] if the model fails on one of them.
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

    /// Enqueues a request. If the queue is full, refuses or waits, as the schedule says.
    async fn accept(
        &self,
        mut sequences: Vec<Sequence>,
        schedule: Schedule,
        answers: &UnboundedSender<SequenceAnswer>,
    ) -> Result<Pending<'_>, BatchError> {
        loop {
            // Created before the queue is checked, so that room made in between is not missed.
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

    /// Accepts the sequences if there is room for all of them.
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

/// Collects a request's results, which arrive in any order. Stops at the first failure.
async fn collect(
    mut inbox: UnboundedReceiver<SequenceAnswer>,
    count: usize,
) -> Result<Vec<SequenceOutput>, BatchError> {
    let mut outputs = vec![None; count];
    for _ in 0..count {
        let SequenceAnswer { position, outcome } = inbox
            .recv()
            .await
            .ok_or_else(|| BatchError::Inference(InferenceError::WorkerEnded))?;
        outputs[position] = Some(outcome?);
    }
    Ok(outputs.into_iter().flatten().collect())
}

/// An accepted request. If dropped before it is complete (answered, expired, failed or abandoned by its client), it
/// removes those of its sequences that have not started, so that abandoned work takes no room in the queue.
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
