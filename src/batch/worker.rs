//! A worker thread: takes a batch, runs it, sends the results, and survives panics of the model.

use tokio::time::Instant;

use super::output::{BatchError, SequenceOutput};
use super::pool::{Assignment, Pool, Run};
use super::queue::Batch;
use crate::inference::{Cores, InferenceError, Model, Sequence};
use crate::panics::caught;

/// Runs batches until the scheduler is closed and no sequence waits.
pub(super) fn serve(pool: &Pool) {
    let mut busy_since = Instant::now();
    while let Some(assignment) = pool.next_batch() {
        let started = Instant::now();
        if assignment.waited {
            busy_since = started;
        }
        let outputs = infer(&assignment.batch, assignment.cores);
        busy_since = finish(pool, assignment, outputs, started, busy_since);
    }
}

/// Ends a batch that has run since `started`: frees its cores, then answers. Its worker has been busy with it since
/// `busy_since`, which includes answering the batch before. Returns when it ended.
pub(super) fn finish(
    pool: &Pool,
    Assignment {
        queue,
        batch,
        cores,
        ..
    }: Assignment,
    outputs: Result<Vec<Vec<f32>>, InferenceError>,
    started: Instant,
    busy_since: Instant,
) -> Instant {
    let ended = Instant::now();
    let elapsed = ended.saturating_duration_since(started);
    let run = Run {
        tokens: batch.tokens(),
        elapsed,
        busy: ended.saturating_duration_since(busy_since),
    };
    pool.finish(queue, cores, run);
    batch
        .metrics
        .batch_run(batch.entries.len(), run.tokens, elapsed);
    answer(batch, outputs, started, elapsed);
    ended
}

fn infer(batch: &Batch, cores: Cores) -> Result<Vec<Vec<f32>>, InferenceError> {
    let sequences: Vec<&Sequence> = batch.entries.iter().map(|entry| &entry.sequence).collect();
    let outputs = run_caught(batch.model.as_ref(), &sequences, cores)?;
    if outputs.len() == sequences.len() {
        Ok(outputs)
    } else {
        Err(InferenceError::OutputCount {
            outputs: outputs.len(),
            sequences: sequences.len(),
        })
    }
}

/// Turns a panic of the model into an error of this batch. Unwind safety: after a panic, the model is reachable only
/// through its `&self`, which threads share anyway.
fn run_caught(
    model: &dyn Model,
    sequences: &[&Sequence],
    cores: Cores,
) -> Result<Vec<Vec<f32>>, InferenceError> {
    caught(|| model.run(sequences, cores)).unwrap_or_else(|panic| {
        tracing::error!(place = panic.place, "model panicked");
        Err(InferenceError::Panicked(panic.message))
    })
}

fn answer(
    batch: Batch,
    outputs: Result<Vec<Vec<f32>>, InferenceError>,
    started: Instant,
    inference_time: std::time::Duration,
) {
    match outputs {
        Ok(outputs) => {
            for (entry, logits) in batch.entries.into_iter().zip(outputs) {
                let queue_time = started.saturating_duration_since(entry.queued_at);
                batch.metrics.queue_wait(queue_time);
                entry.answer(Ok(SequenceOutput {
                    logits,
                    queue_time,
                    inference_time,
                }));
            }
        }
        Err(error) => {
            tracing::error!(model = %batch.name, sequences = batch.entries.len(), %error, "batch failed");
            for entry in batch.entries {
                entry.answer(Err(BatchError::Inference(error.clone())));
            }
        }
    }
}
