//! The state that requests and workers share: the queues of all models behind one lock, and the counts of running and
//! idle workers.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::output::BatchError;
use super::policy;
use super::queue::{Batch, Queue, SequenceAnswer, Ticket};
use super::schedule::Schedule;
use crate::inference::{Cores, Sequence};
use crate::telemetry::metrics::DropReason;

/// Bounds of the estimate in [`BatchError::QueueFull`]. Clients count in whole seconds. Beyond a minute, the estimate
/// only says that the server is far behind.
const SHORTEST_RETRY: f64 = 1.0;
const LONGEST_RETRY: f64 = 60.0;

/// Identifies a queue. Never reused while the scheduler lives.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueId(u64);

/// State shared by requests and workers.
pub(super) struct Pool {
    workers: NonZeroUsize,
    /// Held briefly, never across a run or an await.
    state: Mutex<State>,
    /// Signalled when sequences arrive, when a batch releases all cores, and when the scheduler closes.
    work: Condvar,
    /// Notified when sequences leave a queue.
    room: Notify,
}

/// A batch for a worker to run.
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
    /// Workers waiting for work.
    idle: usize,
    /// Workers running a batch. Workers that are sending results count as neither running nor idle.
    running: usize,
    /// Whether one batch has all cores. Until it is done, no worker takes another.
    all_cores_taken: bool,
    closed: bool,
}

impl Pool {
    pub(super) fn new(workers: NonZeroUsize) -> Self {
        Self {
            workers,
            state: Mutex::default(),
            work: Condvar::new(),
            room: Notify::new(),
        }
    }

    pub(super) fn add_queue(&self, queue: Queue) -> QueueId {
        let mut state = self.lock();
        let id = state.next_queue;
        state.next_queue = QueueId(id.0 + 1);
        state.queues.insert(id, queue);
        id
    }

    pub(super) fn remove_queue(&self, id: QueueId) {
        let queue = self.lock().queues.remove(&id);
        // Dropped after the lock is released, because the model may be dropped with it.
        drop(queue);
    }

    /// Stops accepting sequences. Accepted ones still run.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.room.notify_waiters();
    }

    /// Accepts all sequences of a request if there is room for all of them, and none otherwise.
    pub(super) fn enqueue(
        &self,
        queue: QueueId,
        sequences: &mut Vec<Sequence>,
        schedule: Schedule,
        answers: &UnboundedSender<SequenceAnswer>,
    ) -> Result<Ticket, BatchError> {
        let count = sequences.len();
        let mut state = self.lock();
        if state.closed {
            return Err(BatchError::Closed);
        }
        let first_arrival = state.next_arrival;
        // A queue exists as long as its lease.
        let queue = state.queues.get_mut(&queue);
        let queue = queue.ok_or(BatchError::Closed)?;
        if !queue.has_room(count) {
            let retry_after = state.retry_after(self.workers);
            return Err(BatchError::QueueFull { retry_after });
        }
        let sequences = std::mem::take(sequences);
        let ticket = queue.push(sequences, schedule, first_arrival, Instant::now(), answers);
        state.next_arrival = ticket.arrivals.end;
        let somebody_waits = state.idle > 0;
        drop(state);
        // Notifying costs a system call, which is skipped while all workers are busy.
        if somebody_waits {
            self.work.notify_one();
        }
        Ok(ticket)
    }

    /// Removes those of a request's sequences that have not started to run.
    pub(super) fn withdraw(&self, queue: QueueId, ticket: &Ticket, reason: DropReason) {
        if let Some(queue) = self.lock().queues.get_mut(&queue) {
            queue.withdraw(ticket, reason);
        }
        self.room.notify_waiters();
    }

    /// Completes when sequences leave any queue after this call.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Workers waiting for work at this moment.
    #[cfg(test)]
    pub(super) fn idle_workers(&self) -> usize {
        self.lock().idle
    }

    /// Waits for work and takes the next batch. `None` once the scheduler is closed and no sequence waits. A request
    /// wakes one worker, however many sequences it brings, so a worker that leaves sequences behind wakes the next.
    pub(super) fn next_batch(&self) -> Option<Assignment> {
        let mut state = self.lock();
        loop {
            if !state.all_cores_taken {
                if let Some((queue, batch)) = state.take_batch(Instant::now(), self.workers) {
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

    /// Records a batch's run time, and releases the cores that it had beyond the worker's own.
    pub(super) fn finish(&self, queue: QueueId, cores: Cores, tokens: usize, elapsed: Duration) {
        let mut state = self.lock();
        state.running -= 1;
        match cores {
            Cores::One => {
                // The queue is gone if the model was removed while its last batch ran.
                if let Some(queue) = state.queues.get_mut(&queue) {
                    queue.record(tokens, elapsed);
                }
            }
            // A run on all cores says nothing about one worker's time per token, so it is not recorded.
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

    /// Gives a batch all cores if nothing else runs or waits and its length makes that worthwhile.
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

    /// The estimated time until the currently waiting work is done. Counts all models, because they share the workers.
    fn retry_after(&self, workers: NonZeroUsize) -> Duration {
        let workers = u32::try_from(workers.get()).unwrap_or(u32::MAX);
        let backlog: f64 = self.queues.values().map(Queue::backlog_seconds).sum();
        let seconds = (backlog / f64::from(workers)).clamp(SHORTEST_RETRY, LONGEST_RETRY);
        Duration::from_secs_f64(seconds)
    }
}
