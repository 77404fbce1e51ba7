//! A worker thread: takes a batch, runs it, sends the results, and survives panics of the model.

use tokio::time::Instant;

use super::output::{BatchError, SequenceOutput};
use super::pool::{Assignment, Pool};
use super::queue::Batch;
use crate::inference::{Cores, InferenceError, Model, Sequence};
use crate::panics::caught;

/// Runs batches until the scheduler is closed and no sequence waits.
pub(super) fn serve(pool: &Pool) {
    while let Some(Assignment {
        queue,
        batch,
        cores,
    }) = pool.next_batch()
    {
        let started = Instant::now();
        let outputs = infer(&batch, cores);
        let finished = Assignment {
            queue,
            batch,
            cores,
        };
        finish(pool, finished, outputs, started);
    }
}

/// Ends a batch that has run since `started`: frees its cores, then answers.
pub(super) fn finish(
    pool: &Pool,
    Assignment {
        queue,
        batch,
        cores,
    }: Assignment,
    outputs: Result<Vec<Vec<f32>>, InferenceError>,
    started: Instant,
) {
    let (tokens, elapsed) = (batch.tokens(), started.elapsed());
    pool.finish(queue, cores, tokens, elapsed);
    batch
        .metrics
        .batch_run(batch.entries.len(), tokens, elapsed);
    answer(batch, outputs, started, elapsed);
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
