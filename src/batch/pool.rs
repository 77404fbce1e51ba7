//! The state that requests and the workers of one device share: the order of waiting sequences behind one lock, and the
//! counts of running and idle workers.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::admission::{Admission, Expected, Refusal};
use super::fair_order::{Candidate, Estimate, FairOrder, Place, RequestId};
use super::output::BatchError;
use super::policy::{self, LOOK_AHEAD};
use super::queue::{Batch, Queue, QueuedSequence, SequenceAnswer};
use super::schedule::{Schedule, WhenFull};
use super::size::RequestSize;
use super::throughput::ThroughputEstimate;
use crate::client::Client;
use crate::inference::{Cores, Sequence};
use crate::numbers::float;
use crate::telemetry::metrics::{DropReason, RejectReason};

/// By how much the estimate for a request that is alone may be wrong.
const DOUBT: u32 = 4;

/// Bounds of the time after which a refused request may come back. Clients count in whole seconds. Beyond a minute, the
/// estimate only says that the server is far behind.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

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
    /// Notified when sequences leave the order.
    room: Notify,
}

/// A batch for a worker to run.
pub(super) struct Assignment {
    /// Whether the worker has waited for it.
    pub waited: bool,
    pub queue: QueueId,
    pub batch: Batch,
    pub cores: Cores,
}

/// What a batch took.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub tokens: usize,
    /// Its run time.
    pub elapsed: Duration,
    /// How long its worker was busy with it, with what it did since the batch before.
    pub busy: Duration,
}

/// A request that was not admitted.
#[derive(Debug)]
pub(super) struct Rejected {
    pub error: BatchError,
    pub reason: RejectReason,
}

struct State {
    queues: BTreeMap<QueueId, Queue>,
    order: FairOrder<QueueId, QueuedSequence>,
    admission: Admission,
    /// One worker's time per token, over all models.
    throughput: ThroughputEstimate,
    next_queue: QueueId,
    /// Workers waiting for work.
    idle: usize,
    /// Workers running a batch. Workers that are sending results count as neither running nor idle.
    running: usize,
    /// Whether one batch has all cores. Until it is done, no worker takes another.
    all_cores_taken: bool,
    closed: bool,
}

impl Pool {
    /// `longest_wait` is how long a request may be expected to wait for its first batch.
    pub(super) fn new(workers: NonZeroUsize, longest_wait: Duration) -> Self {
        Self {
            workers,
            state: Mutex::new(State {
                queues: BTreeMap::new(),
                order: FairOrder::default(),
                admission: Admission::new(longest_wait),
                throughput: ThroughputEstimate::default(),
                next_queue: QueueId::default(),
                idle: 0,
                running: 0,
                all_cores_taken: false,
                closed: false,
            }),
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

    /// Stops admitting requests. Admitted ones still run.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.room.notify_waiters();
    }

    /// Refuses a request of which nothing but its client is known, if it would wait too long.
    pub(super) fn check(&self, schedule: Schedule) -> Result<(), Rejected> {
        let mut state = self.lock();
        if state.order.is_empty() {
            return Ok(());
        }
        let estimate = Estimate {
            weight: schedule.priority.weight(),
            // How long it takes in all is judged when its texts are known.
            tokens: 0.0,
        };
        state.decide(schedule, estimate, self.workers)
    }

    /// Admits a request, or says why not.
    pub(super) fn admit(
        &self,
        id: QueueId,
        schedule: Schedule,
        size: RequestSize,
    ) -> Result<RequestId, Rejected> {
        let mut state = self.lock();
        // A queue exists as long as its lease.
        let found = state.queues.get(&id).filter(|_| !state.closed);
        let Some(queue) = found else {
            return Err(Rejected {
                error: BatchError::Closed,
                reason: RejectReason::Capacity,
            });
        };
        let tokens = queue.density.tokens(size);
        let has_room = queue.room() > 0;
        let weight = schedule.priority.weight();
        let estimate = Estimate { weight, tokens };
        state.decide(schedule, estimate, self.workers)?;
        if !has_room {
            let backlog = state.duration(float(state.order.tokens()), self.workers);
            return Err(Rejected {
                error: BatchError::QueueFull {
                    retry_after: retry_after(backlog),
                },
                reason: RejectReason::Capacity,
            });
        }
        if let Some(queue) = state.queues.get_mut(&id) {
            queue.keep_place();
        }
        Ok(state.order.enter(schedule.client, weight, tokens))
    }

    /// Ends a request. Its sequences have run or were withdrawn.
    pub(super) fn leave(&self, queue: QueueId, client: Client, request: RequestId) {
        let mut state = self.lock();
        if state.order.leave(client, request) {
            state.give_place(queue);
        }
        let has_ended = state.closed && !state.order.has_requests();
        drop(state);
        if has_ended {
            self.work.notify_all();
        }
        // Requests that wait to be admitted may see a shorter backlog.
        self.room.notify_waiters();
    }

    /// Adds as many of a request's sequences to the order as there is room for, and removes them from `sequences`.
    /// Returns their places. `tokenized` has the size and tokens of a part that is new, so that its model's density and
    /// what the request is still expected to bring are corrected.
    pub(super) fn enqueue(
        &self,
        queue: QueueId,
        request: RequestId,
        schedule: Schedule,
        tokenized: Option<(RequestSize, usize)>,
        sequences: &mut impl ExactSizeIterator<Item = (usize, Sequence)>,
        answers: &UnboundedSender<SequenceAnswer>,
    ) -> Vec<Place> {
        let now = Instant::now();
        let mut state = self.lock();
        let State { queues, order, .. } = &mut *state;
        let Some(of_model) = queues.get_mut(&queue) else {
            return Vec::new();
        };
        let expected = tokenized.map_or(0.0, |(size, tokens)| {
            let expected = of_model.density.tokens(size);
            of_model.density.record(size, tokens);
            expected
        });
        let mut tokens = 0;
        // Its first sequence takes the place that was kept for it.
        let is_entering = order.is_entering(schedule.client, request);
        let room = of_model.room() + usize::from(is_entering);
        let entries = sequences.take(room).map(|(position, sequence)| {
            let length = sequence.len();
            tokens += length;
            let entry = QueuedSequence {
                sequence,
                position,
                queued_at: now,
                deadline: schedule.deadline,
                answers: answers.clone(),
            };
            (length, entry)
        });
        let places = order.push(schedule.client, request, queue, expected, entries);
        if is_entering && !places.is_empty() {
            of_model.give_place();
        }
        of_model.joined(places.len(), tokens);
        let somebody_waits = state.idle > 0 && !places.is_empty();
        drop(state);
        // Notifying costs a system call, which is skipped while all workers are busy.
        if somebody_waits {
            self.work.notify_one();
        }
        places
    }

    /// Removes those of a request's sequences that have not started to run.
    pub(super) fn withdraw(
        &self,
        queue: QueueId,
        client: Client,
        places: &[Place],
        reason: DropReason,
    ) {
        let mut state = self.lock();
        let entries = state.withdraw(queue, client, places, reason);
        drop(state);
        drop(entries);
        self.room.notify_waiters();
    }

    /// Completes when sequences leave the order after this call.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Workers waiting for work at this moment.
    #[cfg(test)]
    pub(super) fn idle_workers(&self) -> usize {
        self.lock().idle
    }

    /// Waits for work and takes the next batch. `None` once the scheduler is closed and no request is left. A request
    /// wakes one worker, however many sequences it brings, so a worker that leaves sequences behind wakes the next.
    pub(super) fn next_batch(&self) -> Option<Assignment> {
        let mut state = self.lock();
        let mut waited = false;
        loop {
            if let Some(assignment) = self.assign(&mut state, waited) {
                drop(state);
                self.room.notify_waiters();
                return Some(assignment);
            }
            waited = true;
            // Admitted requests may bring more.
            if state.closed && !state.all_cores_taken && !state.order.has_requests() {
                return None;
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Takes the next batch if a worker may run one now.
    fn assign(&self, state: &mut State, waited: bool) -> Option<Assignment> {
        if state.all_cores_taken {
            return None;
        }
        let (queue, batch) = state.take_batch(Instant::now(), self.workers)?;
        let cores = state.cores_for(queue, &batch);
        state.running += 1;
        if state.idle > 0 && !state.order.is_empty() {
            self.work.notify_one();
        }
        Some(Assignment {
            waited,
            queue,
            batch,
            cores,
        })
    }

    /// [`Self::next_batch`] without waiting.
    #[cfg(test)]
    pub(super) fn try_next_batch(&self) -> Option<Assignment> {
        let assignment = self.assign(&mut self.lock(), true);
        self.room.notify_waiters();
        assignment
    }

    /// Records a batch's run time, and releases the cores that it had beyond the worker's own.
    pub(super) fn finish(&self, queue: QueueId, cores: Cores, run: Run) {
        let Run {
            tokens,
            elapsed,
            busy,
        } = run;
        let mut state = self.lock();
        state.running -= 1;
        match cores {
            Cores::One => {
                state.throughput.record(tokens, busy);
                // The queue is gone if the model was removed while its last batch ran.
                if let Some(queue) = state.queues.get_mut(&queue) {
                    queue.record(tokens, elapsed);
                }
            }
            // Says nothing about one worker's time per token of the model, but as much about the device's.
            Cores::All => {
                let of_workers = busy.saturating_mul(count(self.workers));
                state.throughput.record(tokens, of_workers);
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
    /// Takes the next batch. Sequences that can't be answered in time are answered so, and take no worker's time.
    fn take_batch(&mut self, now: Instant, workers: NonZeroUsize) -> Option<(QueueId, Batch)> {
        loop {
            let Some(id) = self.order.next_model() else {
                self.admission.emptied();
                return None;
            };
            let queue = self.queues.get(&id)?;
            let candidates = self.order.candidates(id, LOOK_AHEAD);
            // The rate may be out of date, so what seems hopeless gives way to others but is run if it is alone.
            let gives_way =
                |candidate: &Candidate<'_, QueuedSequence>| queue.is_hopeless(candidate.item, now);
            let is_alone = candidates.iter().all(gives_way);
            let late = candidates
                .iter()
                .filter(|candidate| {
                    candidate.item.deadline <= now || (!is_alone && gives_way(candidate))
                })
                .map(|candidate| (candidate.client, candidate.place));
            let late: Vec<(Client, Place)> = late.collect();
            if !late.is_empty() {
                for (client, place) in late {
                    for entry in self.withdraw(id, client, &[place], DropReason::Expired) {
                        entry.answer(Err(BatchError::DeadlineExceeded));
                    }
                }
                continue;
            }
            let free_workers = NonZeroUsize::new(workers.get().saturating_sub(self.running));
            let free_workers = free_workers.unwrap_or(NonZeroUsize::MIN);
            let tokens = policy::share(queue.token_budget(), self.order.tokens(), free_workers);
            let lengths: Vec<usize> = candidates
                .iter()
                .map(|candidate| candidate.item.sequence.len())
                .collect();
            let chosen: Vec<(Client, Place)> = policy::choose(&lengths, queue.limit(tokens))
                .into_iter()
                .map(|position| (candidates[position].client, candidates[position].place))
                .collect();
            let entries = self.order.take(id, &chosen);
            let queue = self.queues.get_mut(&id)?;
            queue.left(&entries);
            return Some((id, queue.batch(entries)));
        }
    }

    fn withdraw(
        &mut self,
        queue: QueueId,
        client: Client,
        places: &[Place],
        reason: DropReason,
    ) -> Vec<QueuedSequence> {
        let entries = self.order.withdraw(client, queue, places);
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.dropped(&entries, reason);
        }
        entries
    }

    fn give_place(&mut self, queue: QueueId) {
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.give_place();
        }
    }

    /// Gives a batch all cores if nothing else runs or waits and its length makes that worthwhile.
    fn cores_for(&mut self, queue: QueueId, batch: &Batch) -> Cores {
        if self.running > 0 || !self.order.is_empty() {
            return Cores::One;
        }
        let queue = self.queues.get(&queue);
        let cores = queue.map_or(Cores::One, |queue| {
            queue.cores_of_a_lone_batch(batch.tokens())
        });
        self.all_cores_taken = cores == Cores::All;
        cores
    }

    /// Decides by the time that the request would wait and take. This process's own requests wait as long as they like.
    fn decide(
        &mut self,
        schedule: Schedule,
        estimate: Estimate,
        workers: NonZeroUsize,
    ) -> Result<(), Rejected> {
        if schedule.client == Client::Local {
            return Ok(());
        }
        let now = Instant::now();
        let time_left = schedule.deadline.saturating_duration_since(now);
        if time_left.is_zero() {
            return Err(Rejected {
                error: BatchError::DeadlineExceeded,
                reason: RejectReason::Deadline,
            });
        }
        let ahead = self.order.ahead(schedule.client, estimate);
        let expected = Expected {
            wait: self.duration(ahead.of_first, workers),
            end: self.duration(ahead.of_end, workers),
        };
        // Nobody is kept waiting by a request that is alone, and its estimate may be out of date.
        let is_alone = self.order.is_empty() && self.running == 0;
        let allowed = if is_alone {
            time_left.saturating_mul(DOUBT)
        } else {
            time_left
        };
        let decided = self
            .admission
            .decide(schedule.client, expected, allowed, now.into_std());
        let is_wait = matches!(decided, Err(Refusal::Wait { .. }));
        if is_wait && schedule.when_full == WhenFull::Refuse {
            self.admission.refused(schedule.client, now.into_std());
        }
        if decided.is_err() && is_alone {
            // Without other requests, nothing would correct the estimate. The next one is measured again.
            self.throughput = ThroughputEstimate::default();
        }
        decided.map_err(|refusal| match refusal {
            Refusal::Wait { excess } => Rejected {
                error: BatchError::QueueFull {
                    retry_after: retry_after(excess),
                },
                reason: RejectReason::Wait,
            },
            Refusal::Deadline { needed } => Rejected {
                error: BatchError::DeadlineTooShort {
                    needed,
                    retry_after: retry_after(needed.saturating_sub(time_left)),
                },
                reason: RejectReason::Deadline,
            },
        })
    }

    /// How long all workers together need for this many tokens. Zero until a batch has run.
    fn duration(&self, tokens: f64, workers: NonZeroUsize) -> Duration {
        let seconds = self.throughput.seconds_for(tokens) / f64::from(count(workers));
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

fn count(workers: NonZeroUsize) -> u32 {
    u32::try_from(workers.get()).unwrap_or(u32::MAX)
}

/// Half to twice the estimate, so that refused clients do not come back all at once.
fn retry_after(estimate: Duration) -> Duration {
    let jitter = 0.5 + 1.5 * fastrand::f64();
    estimate
        .clamp(SHORTEST_RETRY, LONGEST_RETRY)
        .mul_f64(jitter)
}
