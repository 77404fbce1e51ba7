//! The steps that all tasks share: prepare sequences, run them, decode the outputs, and record statistics.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::RequestContext;
use super::handle::Service;
use super::timings::Timings;
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::inference::Sequence;
use crate::registry::LoadedModel;
use crate::telemetry::statistics::{ModelStatistics, RequestDurations};

/// The steps of a request that depend on its task.
pub struct Steps<Prepare, Decode> {
    /// Size of the input in bytes. The cost of both steps grows with it.
    pub bytes: usize,
    /// Makes the sequences to run, and data for `decode`.
    pub prepare: Prepare,
    /// Turns the outputs into results.
    pub decode: Decode,
}

impl Service {
    /// Runs a request on a model.
    ///
    /// # Errors
    /// Those of the steps, [`ServiceError::QueueFull`], [`ServiceError::DeadlineExceeded`], [`ServiceError::Internal`].
    pub async fn run_steps<Prepared, R, Prepare, Decode>(
        &self,
        model: &Arc<LoadedModel>,
        steps: Steps<Prepare, Decode>,
        context: &RequestContext,
    ) -> Result<(R, Timings), ServiceError>
    where
        Prepared: Send + 'static,
        R: Send + 'static,
        Prepare: FnOnce(&LoadedModel) -> Result<(Prepared, Vec<Sequence>), ServiceError>
            + Send
            + 'static,
        Decode: FnOnce(&LoadedModel, Prepared, Vec<SequenceOutput>) -> Result<R, ServiceError>
            + Send
            + 'static,
    {
        let Steps {
            bytes,
            prepare,
            decode,
        } = steps;
        let statistics = StatisticsGuard::new(model.queue.statistics());
        let worker = Arc::clone(model);
        let started = Instant::now();
        let (prepared, sequences) = self
            .executor()
            .run(bytes, context.deadline, move || {
                let (prepared, sequences) = prepare(&worker)?;
                check_types(&worker, &sequences)?;
                Ok::<_, ServiceError>((prepared, sequences))
            })
            .await??;
        let tokenize = started.elapsed();
        let outputs = model.queue.submit(sequences, context.schedule()).await?;
        let timings = Timings::of(tokenize, &outputs);
        let worker = Arc::clone(model);
        let started = Instant::now();
        let results = self
            .executor()
            .run(bytes, context.deadline, move || {
                decode(&worker, prepared, outputs)
            })
            .await??;
        statistics.record_answered(timings, started.elapsed());
        Ok((results, timings))
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
