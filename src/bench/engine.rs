//! The engine's own loop: ready-made tokens, batches formed in advance, and one thread per worker. Its throughput is
//! the upper limit of any server around the engine.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::load::LoadSample;
use crate::batch::policy::{self, BatchLimit, LOOK_AHEAD};
use crate::inference::{Cores, InferenceError, Model, Sequence};

/// A batch: indices into the list of requests.
pub type Batch = Vec<usize>;

/// Divides requests of these lengths into batches as a full queue would: in order, each with the requests closest in
/// length among those that follow.
#[must_use]
pub fn form_batches(lengths: &[usize], tokens: NonZeroUsize) -> Vec<Batch> {
    let limit = BatchLimit {
        tokens,
        pads_to_longest: false,
    };
    let mut waiting: Vec<usize> = (0..lengths.len()).collect();
    let mut batches = Vec::new();
    while !waiting.is_empty() {
        let near = &waiting[..waiting.len().min(LOOK_AHEAD)];
        let near: Vec<usize> = near.iter().map(|&request| lengths[request]).collect();
        let mut chosen = policy::choose(&near, limit);
        chosen.sort_unstable();
        let batch = chosen
            .iter()
            .rev()
            .map(|&position| waiting.remove(position));
        batches.push(batch.collect());
    }
    batches
}

/// A batch and the model that runs it.
pub struct Job<'a, M> {
    pub model: &'a M,
    /// Indices of its requests.
    pub requests: &'a [usize],
    pub sequences: Vec<&'a Sequence>,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct EngineRun {
    /// One sample per request and run. A request's latency is the time of its batch.
    pub samples: Vec<LoadSample>,
    /// The time at which each batch was done.
    pub batches: Vec<Duration>,
}

/// Runs the jobs in turn, repeatedly, on this many threads.
///
/// # Errors
/// The error of a model.
pub fn run<M: Model>(
    jobs: &[Job<M>],
    workers: NonZeroUsize,
    duration: Duration,
) -> Result<EngineRun, InferenceError> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let work = || {
        let mut done = EngineRun::default();
        while start.elapsed() < duration {
            let job = &jobs[next.fetch_add(1, Ordering::Relaxed) % jobs.len()];
            let due = start.elapsed();
            job.model.run(&job.sequences, Cores::One)?;
            let finished = start.elapsed();
            done.batches.push(finished);
            done.samples
                .extend(job.requests.iter().map(|&request| LoadSample {
                    request,
                    due,
                    finished,
                    outcome: Ok(None),
                }));
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.get()).map(|_| scope.spawn(work)).collect();
        let mut all = EngineRun::default();
        for thread in threads {
            let panicked = |_| Err(InferenceError::WorkerEnded);
            let mut done = thread.join().unwrap_or_else(panicked)?;
            all.samples.append(&mut done.samples);
            all.batches.append(&mut done.batches);
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(tokens: usize) -> NonZeroUsize {
        NonZeroUsize::new(tokens).unwrap()
    }

    #[test]
    fn batches_hold_every_request_once_within_the_budget() {
        let lengths: Vec<usize> = (0..200).map(|index| 5 + index * 37 % 90).collect();
        let batches = form_batches(&lengths, budget(128));
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..lengths.len()));
        for batch in &batches {
            let tokens: usize = batch.iter().map(|&request| lengths[request]).sum();
            assert!(tokens <= 128 || batch.len() == 1, "{batch:?}");
        }
        assert!(form_batches(&[], budget(128)).is_empty());
    }

    #[test]
    fn a_model_that_fails_ends_the_run() {
        struct Broken;
        impl Model for Broken {
            fn run(&self, _: &[&Sequence], _: Cores) -> Result<Vec<Vec<f32>>, InferenceError> {
                Err(InferenceError::model("broken"))
            }
        }
        let job = Job {
            model: &Broken,
            requests: &[0],
            sequences: vec![],
        };
        let outcome = run(&[job], budget(2), Duration::from_mins(1));
        assert_eq!(outcome.err(), Some(InferenceError::model("broken")));
    }
}
