//! Runs a loaded graph before its first request: takes the cost of first runs off requests, and measures which batch
//! sizes suit the model on this machine.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::load_error::LoadError;
use crate::batch::BatchSizing;
use crate::engine::Graph;
use crate::inference::{Cores, InferenceError, Model, Sequence};
use crate::numbers::float;
use crate::text::SpecialTokens;

/// The approximate time limit of a measurement. Results so far count when it ends.
const PATIENCE: Duration = Duration::from_millis(200);
/// The length of sequences in a measured batch, typical of sentences.
const SENTENCE: usize = 32;
/// Candidate token budgets. Larger ones gain nothing on the CPU, because their activations no longer fit the cache.
const CPU_BUDGETS: [usize; 3] = [64, 128, 256];
const GPU_BUDGETS: [usize; 4] = [256, 1024, 4096, 8192];
/// The smallest budget that reaches this share of the best throughput is chosen, since requests wait less for small
/// batches.
const NEARLY_BEST: f64 = 0.97;
/// Runs of each candidate, as far as time allows. The best run counts: the first run of a shape also allocates memory,
/// and other load on the machine can only slow a run.
const ROUNDS: usize = 3;
/// Candidate lengths from which all cores may pay.
const LONG: [usize; 2] = [32, 128];
/// From this length on, all cores always pay: the operators are large enough to be shared. Independent of measurements,
/// which other load may have disturbed.
const VERY_LONG: usize = 384;
/// All cores pay if they need less than this share of one core's time.
const WORTH_IT: f64 = 0.9;

/// A graph to warm up.
pub struct WarmUp<'a> {
    pub graph: &'a Graph,
    /// Tokens that every vocabulary has.
    pub special_tokens: SpecialTokens,
    /// The longest sequence that the graph takes.
    pub max_tokens: usize,
}

impl WarmUp<'_> {
    /// Runs every session, and measures batch sizes. Skips the token budget if it is given, and all measurements if a
    /// similar model was measured before.
    ///
    /// # Errors
    /// If the graph does not run.
    pub fn run(
        &self,
        sessions: NonZeroUsize,
        batch_tokens: Option<NonZeroUsize>,
        measured: Option<BatchSizing>,
    ) -> Result<BatchSizing, LoadError> {
        self.first_runs(sessions)?;
        let sizing = BatchSizing {
            batch_tokens: match batch_tokens.or(measured.map(|sizing| sizing.batch_tokens)) {
                Some(known) => known,
                None => self.token_budget()?,
            },
            all_cores_from: match measured {
                Some(sizing) => sizing.all_cores_from,
                None => self.all_cores_from()?,
            },
        };
        self.graph
            .release_memory(&self.sequence(SENTENCE))
            .map_err(|error| LoadError::WarmUp(InferenceError::model(error)))?;
        Ok(sizing)
    }

    fn first_runs(&self, sessions: NonZeroUsize) -> Result<(), LoadError> {
        let sequence = self.sequence(SENTENCE);
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..sessions.get())
                .map(|_| scope.spawn(|| self.time(&[&sequence], Cores::One)))
                .collect();
            runs.into_iter().try_for_each(|run| {
                run.join()
                    .unwrap_or_else(|_| {
                        Err(LoadError::WarmUp(InferenceError::Panicked(
                            "the log says where".to_owned(),
                        )))
                    })
                    .map(drop)
            })
        })?;
        if self.graph.runs_on_all_cores() {
            self.time(&[&sequence], Cores::All)?;
        }
        Ok(())
    }

    fn token_budget(&self) -> Result<NonZeroUsize, LoadError> {
        let budgets: &[usize] = if self.graph.device().is_gpu() {
            &GPU_BUDGETS
        } else {
            &CPU_BUDGETS
        };
        let sequence = self.sequence(SENTENCE);
        let started = Instant::now();
        let mut measured: Vec<(usize, Duration)> = Vec::new();
        for round in 0..ROUNDS {
            for (index, &budget) in budgets.iter().enumerate() {
                if started.elapsed() > PATIENCE && !measured.is_empty() {
                    return Ok(smallest_good_budget(&measured));
                }
                let batch = vec![&sequence; budget.div_ceil(sequence.len())];
                let time = self.time(&batch, Cores::One)?;
                match measured.get_mut(index) {
                    Some((_, best)) if round > 0 => *best = time.min(*best),
                    _ => measured.push((budget, time)),
                }
            }
        }
        Ok(smallest_good_budget(&measured))
    }

    fn all_cores_from(&self) -> Result<Option<NonZeroUsize>, LoadError> {
        if !self.graph.runs_on_all_cores() {
            return Ok(None);
        }
        let started = Instant::now();
        for length in LONG.map(|length| length.min(self.max_tokens)) {
            // If even short sequences take long, their operators are large enough to be shared.
            let pays = started.elapsed() > PATIENCE || {
                let sequence = self.sequence(length);
                let best = |cores| {
                    let first = self.time(&[&sequence], cores)?;
                    Ok::<_, LoadError>(first.min(self.time(&[&sequence], cores)?))
                };
                best(Cores::All)? < best(Cores::One)?.mul_f64(WORTH_IT)
            };
            if pays {
                return Ok(NonZeroUsize::new(length));
            }
        }
        Ok(NonZeroUsize::new(VERY_LONG).filter(|length| length.get() <= self.max_tokens))
    }

    fn time(&self, batch: &[&Sequence], cores: Cores) -> Result<Duration, LoadError> {
        let started = Instant::now();
        self.graph.run(batch, cores).map_err(LoadError::WarmUp)?;
        Ok(started.elapsed())
    }

    fn sequence(&self, tokens: usize) -> Sequence {
        let mut ids = vec![self.special_tokens.sep; tokens.min(self.max_tokens)];
        if let Some(first) = ids.first_mut() {
            *first = self.special_tokens.cls;
        }
        Sequence {
            type_ids: vec![0; ids.len()],
            ids,
        }
    }
}

/// From budgets in increasing order, each with the time of one batch, picks the smallest whose throughput is nearly the
/// best.
fn smallest_good_budget(measured: &[(usize, Duration)]) -> NonZeroUsize {
    let rate = |&(budget, time): &(usize, Duration)| {
        float(budget) / time.as_secs_f64().max(f64::MIN_POSITIVE)
    };
    let best = measured.iter().map(rate).fold(0.0, f64::max);
    measured
        .iter()
        .find(|candidate| rate(candidate) >= NEARLY_BEST * best)
        .and_then(|(budget, _)| NonZeroUsize::new(*budget))
        .unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_budget_that_is_nearly_as_good_is_taken() {
        let check = |times: &[(usize, u64)], expected: usize| {
            let measured: Vec<_> = times
                .iter()
                .map(|&(budget, micros)| (budget, Duration::from_micros(micros)))
                .collect();
            assert_eq!(smallest_good_budget(&measured).get(), expected, "{times:?}");
        };
        check(&[(64, 64), (128, 126), (256, 250)], 64);
        check(&[(64, 80), (128, 128), (256, 256)], 128);
        check(&[(64, 100), (128, 180), (256, 256)], 256);
        check(&[(64, 64)], 64);
    }
}
