//! One model's waiting sequences, in order of urgency. No lock, clock or thread in here: the scheduler brings them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::output::{BatchError, SequenceOutput};
use super::policy::{self, BatchLimit, LOOK_AHEAD, Urgency};
use super::schedule::Schedule;
use super::sizing::BatchSizing;
use super::throughput::Throughput;
use crate::inference::{Cores, Model, Sequence};
use crate::telemetry::metrics::{DropReason, ModelMetrics};

/// What became of a sequence.
pub struct SequenceAnswer {
    /// The sequence's position in its request.
    pub position: usize,
    pub outcome: Result<SequenceOutput, BatchError>,
}

/// One waiting sequence.
pub struct QueuedSequence {
    pub sequence: Sequence,
    /// Its position in the request.
    pub position: usize,
    pub queued_at: Instant,
    answers: UnboundedSender<SequenceAnswer>,
}

impl QueuedSequence {
    /// Tells the request what became of this sequence; a request that nobody waits for any more hears nothing.
    pub fn answer(self, outcome: Result<SequenceOutput, BatchError>) {
        let _ = self.answers.send(SequenceAnswer {
            position: self.position,
            outcome,
        });
    }
}

/// Names the entries of one accepted request: they share a schedule and have consecutive arrivals.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub schedule: Schedule,
    pub arrivals: Range<u64>,
}

/// What one worker runs at once.
pub struct Batch {
    pub name: Arc<str>,
    pub model: Arc<dyn Model>,
    pub metrics: ModelMetrics,
    pub entries: Vec<QueuedSequence>,
}

impl Batch {
    /// Real tokens, padding not counted.
    pub fn tokens(&self) -> usize {
        self.entries.iter().map(|entry| entry.sequence.len()).sum()
    }
}

/// One model and what waits for it.
pub struct Queue {
    name: Arc<str>,
    model: Arc<dyn Model>,
    sizing: BatchSizing,
    /// Sequences that may wait.
    capacity: NonZeroUsize,
    metrics: ModelMetrics,
    entries: BTreeMap<Urgency, QueuedSequence>,
    tokens: usize,
    throughput: Throughput,
    /// Sequences that the metrics show as waiting here; queues of one name add up there.
    shown: usize,
}

impl Queue {
    pub fn new(
        name: &str,
        model: Arc<dyn Model>,
        sizing: BatchSizing,
        capacity: NonZeroUsize,
        metrics: ModelMetrics,
    ) -> Self {
        Self {
            name: name.into(),
            model,
            sizing,
            capacity,
            metrics,
            entries: BTreeMap::new(),
            tokens: 0,
            throughput: Throughput::default(),
            shown: 0,
        }
    }

    /// Most tokens of a batch of several sequences.
    pub fn token_budget(&self) -> NonZeroUsize {
        self.sizing.batch_tokens
    }

    /// The cores that a batch of so many tokens should run on when there is nothing else to run.
    pub fn cores_of_a_lone_batch(&self, tokens: usize) -> Cores {
        match self.sizing.all_cores_from {
            Some(least) if tokens >= least.get() => Cores::All,
            _ => Cores::One,
        }
    }

    /// Tokens that wait.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Seconds that one worker needs for all that waits, by the recent rate.
    pub fn backlog_seconds(&self) -> f64 {
        self.throughput.seconds_for(self.tokens)
    }

    pub fn most_urgent(&self) -> Option<Urgency> {
        self.entries.first_key_value().map(|(&urgency, _)| urgency)
    }

    /// Whether a request of so many sequences is accepted. An empty queue takes any request, else one larger than the
    /// capacity could never be served; its size is bounded where requests are validated.
    pub fn has_room(&self, sequences: usize) -> bool {
        self.entries.is_empty()
            || self.entries.len().saturating_add(sequences) <= self.capacity.get()
    }

    /// Adds a whole request, whose arrivals begin at `first_arrival`.
    pub fn push(
        &mut self,
        sequences: Vec<Sequence>,
        schedule: Schedule,
        first_arrival: u64,
        now: Instant,
        answers: &UnboundedSender<SequenceAnswer>,
    ) -> Ticket {
        let mut arrival = first_arrival;
        for (position, sequence) in sequences.into_iter().enumerate() {
            self.tokens += sequence.len();
            let entry = QueuedSequence {
                sequence,
                position,
                queued_at: now,
                answers: answers.clone(),
            };
            self.entries.insert(urgency(schedule, arrival), entry);
            arrival += 1;
        }
        self.show_depth();
        Ticket {
            schedule,
            arrivals: first_arrival..arrival,
        }
    }

    /// Takes a request's entries back, as far as they have not been run.
    pub fn withdraw(&mut self, ticket: &Ticket, reason: DropReason) {
        let dropped = ticket
            .arrivals
            .clone()
            .filter_map(|arrival| self.remove(urgency(ticket.schedule, arrival)))
            .count();
        self.metrics.sequences_dropped(reason, dropped);
        self.show_depth();
    }

    /// Answers and forgets the expired entries in front of the first that is not.
    pub fn drop_expired(&mut self, now: Instant) {
        let mut dropped = 0;
        while let Some(urgency) = self.most_urgent().filter(|urgency| expired(*urgency, now)) {
            if let Some(entry) = self.remove(urgency) {
                entry.answer(Err(BatchError::DeadlineExceeded));
                dropped += 1;
            }
        }
        if dropped > 0 {
            self.metrics.sequences_dropped(DropReason::Expired, dropped);
            self.show_depth();
        }
    }

    /// Takes out the next batch of at most so many tokens: the most urgent entry and what goes well with it. Costs
    /// O(`LOOK_AHEAD` log n), whatever the number of entries. Empty when nothing waits.
    pub fn take_batch(&mut self, tokens: NonZeroUsize, now: Instant) -> Batch {
        let limit = BatchLimit {
            tokens,
            pads_to_longest: self.model.pads_to_longest(),
        };
        // Expired entries of a lower priority can stand behind live ones of a higher: passed over until they are in front.
        let (urgencies, lengths): (Vec<Urgency>, Vec<usize>) = self
            .entries
            .iter()
            .take(LOOK_AHEAD)
            .filter(|(urgency, _)| !expired(**urgency, now))
            .map(|(&urgency, entry)| (urgency, entry.sequence.len()))
            .unzip();
        let entries = policy::choose(&lengths, limit)
            .into_iter()
            .filter_map(|position| self.remove(urgencies[position]))
            .collect();
        self.show_depth();
        Batch {
            name: Arc::clone(&self.name),
            model: Arc::clone(&self.model),
            metrics: self.metrics.clone(),
            entries,
        }
    }

    /// Notes what a batch of this model took.
    pub fn record(&mut self, tokens: usize, elapsed: std::time::Duration) {
        self.throughput.record(tokens, elapsed);
    }

    fn remove(&mut self, urgency: Urgency) -> Option<QueuedSequence> {
        let entry = self.entries.remove(&urgency)?;
        self.tokens -= entry.sequence.len();
        Some(entry)
    }

    fn show_depth(&mut self) {
        let before = std::mem::replace(&mut self.shown, self.entries.len());
        self.metrics.queue_depth_changed(before, self.shown);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.metrics.queue_depth_changed(self.shown, 0);
    }
}

fn urgency(schedule: Schedule, arrival: u64) -> Urgency {
    Urgency {
        priority: schedule.priority,
        deadline: schedule.deadline.into_std(),
        arrival,
    }
}

fn expired(urgency: Urgency, now: Instant) -> bool {
    urgency.deadline <= now.into_std()
}
