//! One model's waiting sequences, in order of urgency. Has no locks, clocks or threads of its own: the scheduler passes
//! them in.

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
use super::throughput::ThroughputEstimate;
use crate::inference::{Cores, Model, Sequence};
use crate::telemetry::metrics::{DropReason, ModelMetrics};

/// The result for one sequence.
pub struct SequenceAnswer {
    /// The sequence's index in its request.
    pub position: usize,
    pub outcome: Result<SequenceOutput, BatchError>,
}

pub struct QueuedSequence {
    pub sequence: Sequence,
    /// Its index in the request.
    pub position: usize,
    pub queued_at: Instant,
    answers: UnboundedSender<SequenceAnswer>,
}

impl QueuedSequence {
    /// Sends the result to the request. If nobody waits for it any more, the result is discarded.
    pub fn answer(self, outcome: Result<SequenceOutput, BatchError>) {
        let _ = self.answers.send(SequenceAnswer {
            position: self.position,
            outcome,
        });
    }
}

/// Identifies the entries of one accepted request: they share a schedule and have consecutive arrivals.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub schedule: Schedule,
    pub arrivals: Range<u64>,
}

/// Sequences that one worker runs at once.
pub struct Batch {
    pub name: Arc<str>,
    pub model: Arc<dyn Model>,
    pub metrics: ModelMetrics,
    pub entries: Vec<QueuedSequence>,
}

impl Batch {
    /// Tokens without padding.
    pub fn tokens(&self) -> usize {
        self.entries.iter().map(|entry| entry.sequence.len()).sum()
    }
}

/// A model and its waiting sequences.
pub struct Queue {
    name: Arc<str>,
    model: Arc<dyn Model>,
    sizing: BatchSizing,
    /// The most sequences that may wait.
    capacity: NonZeroUsize,
    metrics: ModelMetrics,
    entries: BTreeMap<Urgency, QueuedSequence>,
    tokens: usize,
    throughput: ThroughputEstimate,
    /// This queue's contribution to the metric of waiting sequences. Queues with the same name add up there.
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
            throughput: ThroughputEstimate::default(),
            shown: 0,
        }
    }

    /// The most tokens in a batch of several sequences.
    pub fn token_budget(&self) -> NonZeroUsize {
        self.sizing.batch_tokens
    }

    /// The cores for a batch of `tokens` tokens that is alone in the server.
    pub fn cores_of_a_lone_batch(&self, tokens: usize) -> Cores {
        match self.sizing.all_cores_from {
            Some(least) if tokens >= least.get() => Cores::All,
            _ => Cores::One,
        }
    }

    /// Tokens of all waiting sequences.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Seconds that one worker needs for all waiting sequences, at the recent rate.
    pub fn backlog_seconds(&self) -> f64 {
        self.throughput.seconds_for(self.tokens)
    }

    pub fn most_urgent(&self) -> Option<Urgency> {
        self.entries.first_key_value().map(|(&urgency, _)| urgency)
    }

    /// Whether a request of `sequences` sequences is accepted. An empty queue accepts any request, since one larger
    /// than the capacity could otherwise never run. Validation bounds a request's size.
    pub fn has_room(&self, sequences: usize) -> bool {
        self.entries.is_empty()
            || self.entries.len().saturating_add(sequences) <= self.capacity.get()
    }

    /// Adds all sequences of a request. The first gets the arrival `first_arrival`, and the others follow
    /// consecutively.
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

    /// Removes those of a request's entries that have not started to run.
    pub fn withdraw(&mut self, ticket: &Ticket, reason: DropReason) {
        let dropped = ticket
            .arrivals
            .clone()
            .filter_map(|arrival| self.remove(urgency(ticket.schedule, arrival)))
            .count();
        self.metrics.sequences_dropped(reason, dropped);
        self.show_depth();
    }

    /// Answers and removes expired entries, up to the first that has not expired.
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

    /// Takes the next batch of at most `tokens` tokens: the most urgent entry and others that suit it. Costs
    /// O(`LOOK_AHEAD` log n), whatever the number of entries. Empty if nothing waits.
    pub fn take_batch(&mut self, tokens: NonZeroUsize, now: Instant) -> Batch {
        let limit = BatchLimit {
            tokens,
            pads_to_longest: self.model.pads_to_longest(),
        };
        // Expired entries of a lower priority can be behind live ones of a higher priority. They are skipped until they
        // reach the front.
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

    /// Records the run time of one of this model's batches.
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
