//! The steps that all tasks share: prepare sequences, run them, decode the outputs, and record statistics.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::chunk::Chunk;
use super::context::RequestContext;
use super::cost;
use super::handle::Service;
use super::timings::Timings;
use crate::batch::{AdmittedRequest, RequestSize, SequenceOutput};
use crate::error::ServiceError;
use crate::executor::Executor;
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::task::Task;
use crate::telemetry::statistics::{ModelStatistics, RequestDurations};

/// What a token holds while its part runs: its id twice, types, offsets, word and the results that it becomes.
const TOKEN_BYTES: usize = 128;
/// What a byte of text comes to hold, before its tokens are known: a token in every fourth byte.
const BYTES_PER_BYTE: usize = TOKEN_BYTES / 4;
/// What a token's result holds until the answer is written, in tasks with a result for each.
const TOKEN_RESULT_BYTES: usize = 96;
/// What a sequence's results hold, in tasks with a few for each.
const SEQUENCE_RESULT_BYTES: usize = 512;
/// What a label's score and name hold. A sequence of one letter has as many as the model.
const LABEL_BYTES: usize = 64;

/// A part of a request feeds about this many workers, so as many run at once as keep all of them busy.
const WORKERS_PER_CHUNK: usize = 4;

/// The steps of a request that depend on its task. Each part of the request goes through them by itself.
pub struct Steps<Prepare, Decode> {
    /// Makes the sequences to run, and data for `decode`.
    pub prepare: Prepare,
    /// Turns the outputs into results.
    pub decode: Decode,
}

/// A part of a request, done.
struct Done<R> {
    result: R,
    timings: Timings,
    decode: Duration,
}

impl Service {
    /// Runs the parts of a request on a model, a few at a time, and returns their results in order.
    ///
    /// # Errors
    /// Those of the steps, [`ServiceError::PermissionDenied`], [`ServiceError::QueueFull`], [`ServiceError::DeadlineTooShort`],
    /// [`ServiceError::DeadlineExceeded`], [`ServiceError::Internal`].
    pub async fn run_steps<C, Prepared, R, Prepare, Decode>(
        &self,
        model: &Arc<LoadedModel>,
        chunks: Vec<Chunk<C>>,
        steps: Steps<Prepare, Decode>,
        context: &RequestContext,
    ) -> Result<(Vec<R>, Timings), ServiceError>
    where
        C: Send + 'static,
        Prepared: Send + 'static,
        R: Send + 'static,
        Prepare: Fn(&LoadedModel, C) -> Result<(Prepared, Vec<Sequence>), ServiceError>
            + Send
            + Sync
            + 'static,
        Decode: Fn(&LoadedModel, Prepared, Vec<SequenceOutput>) -> Result<R, ServiceError>
            + Send
            + Sync
            + 'static,
    {
        self.check_priority(context)?;
        let statistics = StatisticsGuard::new(model.queue.statistics());
        let size = RequestSize::total(chunks.iter().map(|chunk| chunk.size));
        let admitted = model.queue.admit(context.schedule(), size).await?;
        let run = ChunkRun {
            executor: self.executor(),
            model,
            steps: Arc::new(steps),
            admitted: &admitted,
            context,
        };
        // The next parts are tokenised while the workers run those before.
        let at_once = 1 + self.executor().slots().div_ceil(WORKERS_PER_CHUNK);
        let mut running = stream::iter(chunks)
            .map(|chunk| run.run(chunk))
            .buffered(at_once);
        let mut results = Vec::new();
        let (mut timings, mut decode) = (Timings::default(), Duration::ZERO);
        while let Some(done) = running.try_next().await? {
            results.push(done.result);
            timings = timings.followed_by(done.timings);
            decode += done.decode;
        }
        statistics.record_answered(timings, decode);
        Ok((results, timings))
    }
}

/// The results of a request, given those of each of its parts.
pub fn joined<R>((parts, timings): (Vec<Vec<R>>, Timings)) -> (Vec<R>, Timings) {
    (parts.into_iter().flatten().collect(), timings)
}

/// What the parts of a request share while they run.
struct ChunkRun<'request, Prepare, Decode> {
    executor: &'request Executor,
    model: &'request Arc<LoadedModel>,
    steps: Arc<Steps<Prepare, Decode>>,
    admitted: &'request AdmittedRequest,
    context: &'request RequestContext,
}

impl<Prepare, Decode> ChunkRun<'_, Prepare, Decode> {
    async fn run<C, Prepared, R>(&self, chunk: Chunk<C>) -> Result<Done<R>, ServiceError>
    where
        C: Send + 'static,
        Prepared: Send + 'static,
        R: Send + 'static,
        Prepare: Fn(&LoadedModel, C) -> Result<(Prepared, Vec<Sequence>), ServiceError>
            + Send
            + Sync
            + 'static,
        Decode: Fn(&LoadedModel, Prepared, Vec<SequenceOutput>) -> Result<R, ServiceError>
            + Send
            + Sync
            + 'static,
    {
        let Chunk {
            size,
            inputs,
            content,
        } = chunk;
        let tokenizer = &self.model.tokenizer;
        let cost = match size {
            RequestSize::Bytes(bytes) => {
                let of_each = tokenizer.estimate(0);
                let others = u32::try_from(inputs.saturating_sub(1)).unwrap_or(u32::MAX);
                tokenizer.estimate(bytes) + of_each.saturating_mul(others)
            }
            RequestSize::Tokens(tokens) => cost::check(tokens),
        };
        let mut held = self.context.reserve(size.bytes() * BYTES_PER_BYTE)?;
        let (model, steps) = (Arc::clone(self.model), Arc::clone(&self.steps));
        let started = Instant::now();
        let (prepared, sequences) = self
            .executor
            .run(
                self.context.client(),
                cost,
                self.context.deadline,
                move || {
                    let (prepared, sequences) = (steps.prepare)(&model, content)?;
                    check_types(&model, &sequences)?;
                    Ok::<_, ServiceError>((prepared, sequences))
                },
            )
            .await??;
        let tokenize = started.elapsed();
        let tokens: usize = sequences.iter().map(Sequence::len).sum();
        self.context.requester.charge(tokens);
        held.resize(tokens * TOKEN_BYTES)?;
        let outputs = self.admitted.run(size, sequences).await?;
        let logits: usize = outputs.iter().map(|output| output.logits.len()).sum();
        let of_logits = logits * size_of::<f32>();
        let of_results = result_bytes(self.model.info.task, tokens, outputs.len(), logits);
        held.grow(of_logits.max(of_results.saturating_sub(held.bytes())))?;
        let timings = Timings::of(tokenize, &outputs);
        let (model, steps) = (Arc::clone(self.model), Arc::clone(&self.steps));
        let started = Instant::now();
        let result = self
            .executor
            .run(
                self.context.client(),
                cost::decode(size.bytes()),
                self.context.deadline,
                move || (steps.decode)(&model, prepared, outputs),
            )
            .await??;
        held.shrink_to(of_results.max(of_logits));
        self.context.keep(held);
        Ok(Done {
            result,
            timings,
            decode: started.elapsed(),
        })
    }
}

/// What the results of a part hold until the answer is written.
fn result_bytes(task: Task, tokens: usize, sequences: usize, logits: usize) -> usize {
    match task {
        Task::Discriminate | Task::Tag => tokens * TOKEN_RESULT_BYTES,
        Task::Classify => sequences * SEQUENCE_RESULT_BYTES + logits * LABEL_BYTES,
        Task::Qa => sequences * SEQUENCE_RESULT_BYTES,
    }
}

/// Second texts have a token type of their own. On a graph without that type, the whole batch would fail.
fn check_types(model: &LoadedModel, sequences: &[Sequence]) -> Result<(), ServiceError> {
    let known = model.info.token_types;
    let mut types = sequences.iter().flat_map(|sequence| &sequence.type_ids);
    if types.all(|kind| usize::from(*kind) < known) {
        return Ok(());
    }
    Err(ServiceError::InvalidValue {
        place: "The request".to_owned(),
        reason: format!(
            "it pairs two texts, and the model has no token type for the second: its config.json says type_vocab_size \
             {known}"
        ),
    })
}

/// Counts a request exactly once: as answered, or as failed if it is dropped first.
struct StatisticsGuard<'a> {
    statistics: &'a ModelStatistics,
    started: Instant,
    answered: bool,
}

impl<'a> StatisticsGuard<'a> {
    fn new(statistics: &'a ModelStatistics) -> Self {
        Self {
            statistics,
            started: Instant::now(),
            answered: false,
        }
    }

    fn record_answered(mut self, timings: Timings, decode: Duration) {
        self.answered = true;
        self.statistics.request_answered(&RequestDurations {
            total: self.started.elapsed(),
            compute_input: timings.tokenize,
            queue: timings.queue,
            compute_infer: timings.inference,
            compute_output: decode,
        });
    }
}

impl Drop for StatisticsGuard<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.statistics.request_failed(self.started.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_of_a_classifier_counts() {
        let bytes = |labels: usize| result_bytes(Task::Classify, 3 * 256, 256, 256 * labels);
        // A kilobyte of texts of a letter.
        assert!(bytes(1000) > 16_000_000 && bytes(2) < 200_000);
        assert_eq!(result_bytes(Task::Qa, 3, 1, 6), 512);
        assert_eq!(result_bytes(Task::Tag, 3, 1, 27), 288);
    }
}
