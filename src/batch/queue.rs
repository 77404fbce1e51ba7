//! One model as the scheduler knows it: how its batches form, how fast they run, and how much of it waits.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::output::{BatchError, SequenceOutput};
use super::policy::BatchLimit;
use super::size::TokenDensity;
use super::sizing::BatchSizing;
use super::throughput::ThroughputEstimate;
use crate::inference::{Cores, Model, Sequence};
use crate::numbers::float;
use crate::telemetry::metrics::{DropReason, ModelMetrics};

/// The result for one sequence.
pub struct SequenceAnswer {
    /// The sequence's index among those that were submitted together.
    pub position: usize,
    pub outcome: Result<SequenceOutput, BatchError>,
}

pub struct QueuedSequence {
    pub sequence: Sequence,
    /// Its index among those that were submitted together.
    pub position: usize,
    pub queued_at: Instant,
    pub deadline: Instant,
    pub answers: UnboundedSender<SequenceAnswer>,
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
        tokens(&self.entries)
    }
}

/// A model, and the counts of its waiting sequences. The sequences themselves are in the device's order.
pub struct Queue {
    name: Arc<str>,
    model: Arc<dyn Model>,
    sizing: BatchSizing,
    /// The most sequences that may wait.
    capacity: NonZeroUsize,
    metrics: ModelMetrics,
    pub density: TokenDensity,
    throughput: ThroughputEstimate,
    waiting: usize,
    waiting_tokens: usize,
    /// Requests that were admitted and have not brought their first sequence yet. Each has a place.
    entering: usize,
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
            density: TokenDensity::default(),
            throughput: ThroughputEstimate::default(),
            waiting: 0,
            waiting_tokens: 0,
            entering: 0,
        }
    }

    /// The most tokens in a batch of several sequences.
    pub fn token_budget(&self) -> NonZeroUsize {
        self.sizing.batch_tokens
    }

    /// The capacity of a batch of at most `tokens` tokens.
    pub fn limit(&self, tokens: NonZeroUsize) -> BatchLimit {
        BatchLimit {
            tokens,
            pads_to_longest: self.model.pads_to_longest(),
        }
    }

    /// The cores for a batch of `tokens` tokens that is alone in the server.
    pub fn cores_of_a_lone_batch(&self, tokens: usize) -> Cores {
        match self.sizing.all_cores_from {
            Some(least) if tokens >= least.get() => Cores::All,
            _ => Cores::One,
        }
    }

    /// How many more sequences may wait.
    pub fn room(&self) -> usize {
        let taken = self.waiting + self.entering;
        self.capacity.get().saturating_sub(taken)
    }

    /// Keeps a place for a request that was admitted.
    pub fn keep_place(&mut self) {
        self.entering += 1;
    }

    /// Gives the place of a request back: its first sequence takes it, or it has ended without one.
    pub fn give_place(&mut self) {
        self.entering = self.entering.saturating_sub(1);
    }

    /// Whether a sequence can't be answered by its deadline any more, if it starts now and runs at the measured rate.
    pub fn is_hopeless(&self, entry: &QueuedSequence, now: Instant) -> bool {
        let run = self.throughput.seconds_for(float(entry.sequence.len()));
        let end = now.checked_add(Duration::try_from_secs_f64(run).unwrap_or_default());
        end.is_some_and(|end| entry.deadline < end)
    }

    pub fn batch(&self, entries: Vec<QueuedSequence>) -> Batch {
        Batch {
            name: Arc::clone(&self.name),
            model: Arc::clone(&self.model),
            metrics: self.metrics.clone(),
            entries,
        }
    }

    /// Records the run time of one of this model's batches on one core.
    pub fn record(&mut self, tokens: usize, elapsed: Duration) {
        self.throughput.record(tokens, elapsed);
    }

    /// Counts sequences that have joined the order.
    pub fn joined(&mut self, sequences: usize, tokens: usize) {
        self.show(self.waiting + sequences, self.waiting_tokens + tokens);
    }

    /// Counts sequences that have left the order.
    pub fn left(&mut self, entries: &[QueuedSequence]) {
        self.show(
            self.waiting.saturating_sub(entries.len()),
            self.waiting_tokens.saturating_sub(tokens(entries)),
        );
    }

    /// Counts sequences that have left the order without being run.
    pub fn dropped(&mut self, entries: &[QueuedSequence], reason: DropReason) {
        self.left(entries);
        self.metrics.sequences_dropped(reason, entries.len());
    }

    /// Queues of one name add up in the metrics.
    fn show(&mut self, waiting: usize, tokens: usize) {
        self.metrics.queue_depth_changed(self.waiting, waiting);
        self.metrics
            .queue_tokens_changed(self.waiting_tokens, tokens);
        (self.waiting, self.waiting_tokens) = (waiting, tokens);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.show(0, 0);
    }
}

fn tokens(entries: &[QueuedSequence]) -> usize {
    entries.iter().map(|entry| entry.sequence.len()).sum()
}
