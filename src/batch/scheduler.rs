//! The scheduler, which starts the worker threads, and the handles through which requests reach its queues.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::fair_order::{Place, RequestId};
use super::output::{BatchError, SequenceOutput};
use super::pool::{Pool, QueueId, Rejected};
use super::queue::{Queue, SequenceAnswer};
use super::schedule::{Schedule, WhenFull};
use super::size::RequestSize;
use super::sizing::BatchSizing;
use super::turns::Turns;
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
    /// How long a request may be expected to wait for its first batch. Longer, and it is refused.
    pub longest_wait: Duration,
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
        // If a thread does not start, dropping this on return ends those that did.
        let scheduler = Self::without_workers(options, metrics);
        let pool = &scheduler.pool;
        let runtime = Handle::try_current().ok();
        for number in 0..options.workers.get() {
            let (pool, runtime) = (Arc::clone(pool), runtime.clone());
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

    fn without_workers(options: SchedulerOptions, metrics: Metrics) -> Self {
        Self {
            pool: Arc::new(Pool::new(options.workers, options.longest_wait)),
            queue_capacity: options.queue_capacity,
            metrics,
            workers: watch::Sender::new(()),
        }
    }

    /// A scheduler whose work the test does itself.
    #[cfg(test)]
    pub(super) fn simulated(options: SchedulerOptions, metrics: Metrics) -> (Self, Arc<Pool>) {
        let scheduler = Self::without_workers(options, metrics);
        let pool = Arc::clone(&scheduler.pool);
        (scheduler, pool)
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
                turns: Turns::default(),
            }),
        }
    }

    /// A handle that refuses requests before it is known which model they ask.
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate {
            pool: Arc::clone(&self.pool),
            metrics: self.metrics.clone(),
        }
    }

    /// Stops admitting requests. Admitted ones still run.
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

/// Refuses requests that would have to wait too long for any model, so that they cost no more than reading them.
#[derive(Clone)]
pub struct Gate {
    pool: Arc<Pool>,
    metrics: Metrics,
}

impl Gate {
    /// Checks a request whose model and size are not known yet.
    ///
    /// # Errors
    /// [`BatchError::QueueFull`] and [`BatchError::DeadlineTooShort`], unless the request waits.
    pub fn check(&self, schedule: Schedule) -> Result<(), BatchError> {
        if schedule.when_full == WhenFull::Wait {
            return Ok(());
        }
        self.pool
            .check(schedule)
            .map_err(|Rejected { error, reason }| {
                if error != BatchError::DeadlineExceeded {
                    self.metrics.request_rejected(reason);
                }
                error
            })
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
    turns: Turns,
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

    /// Runs the sequences of one request and returns their outputs in the same order. Dropping the future removes those
    /// that have not started to run.
    ///
    /// # Errors
    /// As [`Self::admit`] and [`AdmittedRequest::run`].
    ///
    /// # Panics
    /// Outside a tokio runtime with its timer enabled.
    pub async fn submit(
        &self,
        sequences: Vec<Sequence>,
        schedule: Schedule,
    ) -> Result<Vec<SequenceOutput>, BatchError> {
        if sequences.is_empty() {
            return Ok(Vec::new());
        }
        let tokens = sequences.iter().map(Sequence::len).sum();
        let size = RequestSize::Tokens(tokens);
        let request = self.admit(schedule, size).await?;
        request.run(size, sequences).await
    }

    /// Admits a request by its size, before it is tokenised. If it can't be admitted, refuses or waits, as the schedule
    /// says.
    ///
    /// # Errors
    /// [`BatchError::QueueFull`] and [`BatchError::DeadlineTooShort`] if the request does not wait,
    /// [`BatchError::DeadlineExceeded`] if it does, and [`BatchError::Closed`] after [`Scheduler::close`].
    pub async fn admit(
        &self,
        schedule: Schedule,
        size: RequestSize,
    ) -> Result<AdmittedRequest, BatchError> {
        let Lease {
            pool,
            id,
            metrics,
            turns,
        } = self.lease.as_ref();
        let _turn = match schedule.when_full {
            WhenFull::Refuse => None,
            WhenFull::Wait => {
                let turn = timeout_at(schedule.deadline, turns.take(schedule.client)).await;
                Some(turn.map_err(|_| BatchError::DeadlineExceeded)?)
            }
        };
        loop {
            // Created before the order is checked, so that room made in between is not missed.
            let room = pool.room();
            match pool.admit(*id, schedule, size) {
                Ok(request) => {
                    return Ok(AdmittedRequest {
                        queue: self.clone(),
                        request,
                        schedule,
                    });
                }
                Err(Rejected {
                    error: error @ (BatchError::Closed | BatchError::DeadlineExceeded),
                    ..
                }) => return Err(error),
                Err(_) if schedule.when_full == WhenFull::Wait => {
                    timeout_at(schedule.deadline, room)
                        .await
                        .map_err(|_| BatchError::DeadlineExceeded)?;
                }
                Err(Rejected { error, reason }) => {
                    metrics.request_rejected(reason);
                    return Err(error);
                }
            }
        }
    }
}

/// A request that may run. Once it is dropped, its client is no longer charged for it.
pub struct AdmittedRequest {
    queue: ModelQueue,
    request: RequestId,
    schedule: Schedule,
}

impl AdmittedRequest {
    /// Runs a part of the request and returns its outputs in order. Several parts may run at once. `size` is what the
    /// part was counted as when the request was admitted. Dropping the future removes the sequences that have not
    /// started to run.
    ///
    /// # Errors
    /// [`BatchError::DeadlineExceeded`] as soon as the deadline passes or can't be met any more, and
    /// [`BatchError::Inference`] if the model fails on one of the sequences.
    ///
    /// # Panics
    /// Outside a tokio runtime with its timer enabled.
    pub async fn run(
        &self,
        size: RequestSize,
        sequences: Vec<Sequence>,
    ) -> Result<Vec<SequenceOutput>, BatchError> {
        let (answers, inbox) = mpsc::unbounded_channel();
        let mut pending = Pending {
            admitted: self,
            places: Vec::with_capacity(sequences.len()),
            outcome: Outcome::Withdrawn(DropReason::Cancelled),
        };
        let run = async {
            let count = sequences.len();
            pending.enqueue(size, sequences, answers).await;
            collect(inbox, count).await
        };
        let result = timeout_at(self.schedule.deadline, run)
            .await
            .unwrap_or(Err(BatchError::DeadlineExceeded));
        pending.outcome = match &result {
            Ok(_) => Outcome::Complete,
            Err(BatchError::DeadlineExceeded) => Outcome::Withdrawn(DropReason::Expired),
            Err(_) => Outcome::Withdrawn(DropReason::Cancelled),
        };
        result
    }
}

impl Drop for AdmittedRequest {
    fn drop(&mut self) {
        let Lease { pool, id, .. } = self.queue.lease.as_ref();
        pool.leave(*id, self.schedule.client, self.request);
    }
}

/// Collects a part's results, which arrive in any order. Stops at the first failure.
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

/// A part of a request that runs. If dropped before it is complete (answered, expired, failed or abandoned by its
/// client), it removes those of its sequences that have not started, so that abandoned work takes no room.
struct Pending<'request> {
    admitted: &'request AdmittedRequest,
    places: Vec<Place>,
    outcome: Outcome,
}

enum Outcome {
    Complete,
    Withdrawn(DropReason),
}

impl Pending<'_> {
    /// Adds the sequences to the order. Those for which there is no room wait outside until there is.
    async fn enqueue(
        &mut self,
        size: RequestSize,
        sequences: Vec<Sequence>,
        answers: UnboundedSender<SequenceAnswer>,
    ) {
        let AdmittedRequest {
            queue,
            request,
            schedule,
        } = self.admitted;
        let Lease { pool, id, .. } = queue.lease.as_ref();
        let tokens = sequences.iter().map(Sequence::len).sum();
        let mut tokenized = Some((size, tokens));
        let mut sequences = sequences.into_iter().enumerate();
        loop {
            let room = pool.room();
            let entered = pool.enqueue(
                *id,
                *request,
                *schedule,
                tokenized.take(),
                &mut sequences,
                &answers,
            );
            self.places.extend(entered);
            if sequences.len() == 0 {
                return;
            }
            room.await;
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Outcome::Withdrawn(reason) = self.outcome {
            let AdmittedRequest {
                queue, schedule, ..
            } = self.admitted;
            let Lease { pool, id, .. } = queue.lease.as_ref();
            pool.withdraw(*id, schedule.client, &self.places, reason);
        }
    }
}
