//! Runs a loaded graph before its first request: so that no request pays for first times, and to measure what batches
//! suit it on this machine.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::load_error::LoadError;
use crate::batch::BatchSizing;
use crate::engine::Graph;
use crate::inference::{Cores, Model, Sequence};
use crate::numbers::float;
use crate::text::SpecialTokens;

/// What measuring may take, roughly: what it has found by then counts.
const PATIENCE: Duration = Duration::from_millis(200);
/// Sequences of a measured batch are this long, as sentences are.
const SENTENCE: usize = 32;
/// Token budgets to choose from. On the CPU larger ones gain nothing: their activations leave the cache.
const CPU_BUDGETS: [usize; 3] = [64, 128, 256];
const GPU_BUDGETS: [usize; 4] = [256, 1024, 4096, 8192];
/// A smaller budget is taken for this share of the best throughput, since requests wait less for small batches.
const NEARLY_BEST: f64 = 0.97;
/// How often each is measured, as far as patience goes. The first run of a shape also pays for its memory, and what else the
/// machine does can only slow a run: the best counts.
const ROUNDS: usize = 3;
/// Lengths from which all cores may pay.
const LONG: [usize; 2] = [32, 128];
/// From here on they do: operators are large enough to be shared, whatever else the machine did while it was measured.
const VERY_LONG: usize = 384;
/// All cores pay where they take less than this share of the time that one takes.
const WORTH_IT: f64 = 0.9;

/// What is warmed.
pub struct WarmUp<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Tokens that every vocabulary has.
    pub special_tokens: SpecialTokens,
    /// The longest sequence that the graph takes.
    pub max_tokens: usize,
}

impl WarmUp<'_> {
    /// Runs every session, and measures the sizes of batches: the token budget only where it is not given, and nothing
    /// where a model like this one was measured before.
    ///
    /// # Errors
    /// Where the graph does not run.
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
            .map_err(|error| LoadError::Warming(error.to_string()))?;
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
                        Err(LoadError::Warming(
                            "running it panicked; the log says where".to_owned(),
                        ))
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
            // Where even short sequences take long, their operators are large enough to be shared.
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
        self.graph.run(batch, cores).map_err(LoadError::Warming)?;
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

/// Of token budgets, growing, and the time that one batch took with each, the smallest whose throughput is nearly the
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
