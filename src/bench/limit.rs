//! The matrix-product limit: how fast this machine computes a model's matrix products alone.

use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::subject::Subject;
use crate::engine::{BatchShape, EngineError, ProductSessions, Runtime};
use crate::inference::InferenceError;
use crate::numbers::float;

/// The number of measurements of each rate. The best counts, because other load on the machine can only slow it down.
const ROUNDS: usize = 5;
/// The duration of one measurement.
const SLICE: Duration = Duration::from_millis(150);

/// Work in matrix products, in operations. A multiply-add counts as two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Products of rows with weights.
    pub linear: f64,
    /// Products within attention.
    pub attention: f64,
}

impl Work {
    /// The work of sequences with these lengths.
    pub fn of(subject: &Subject, lengths: impl Iterator<Item = usize>) -> Self {
        let (mut tokens, mut sequences, mut attention) = (0, 0, 0.0);
        for length in lengths {
            tokens += length;
            sequences += 1;
            attention += subject.products.attention_operations(length);
        }
        Self {
            linear: subject.products.linear_operations(tokens, sequences),
            attention,
        }
    }

    #[must_use]
    pub fn total(self) -> f64 {
        self.linear + self.attention
    }
}

/// The shape of a batch with these lengths, at least one.
#[must_use]
pub fn shape(lengths: &[usize]) -> BatchShape {
    mean_shape(lengths.iter().sum(), lengths.len(), mean_square(lengths))
}

/// The mean of the squared lengths, to which attention's work is proportional.
#[must_use]
pub fn mean_square(lengths: &[usize]) -> f64 {
    let squares: usize = lengths.iter().map(|length| length * length).sum();
    float(squares) / float(lengths.len().max(1))
}

/// The shape of a batch with this many tokens and sequences, and this mean of the squared lengths.
#[must_use]
pub fn mean_shape(tokens: usize, sequences: usize, mean_square: f64) -> BatchShape {
    BatchShape {
        tokens: tokens.max(1),
        sequences: sequences.max(1),
        attention_length: rounded(mean_square.sqrt()).max(1),
    }
}

/// Rounds a float to a size.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are above 0 and far below 2^52"
)]
pub fn rounded(size: f64) -> usize {
    size.round() as usize
}

/// Operations per second, of all workers together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The linear products alone.
    pub linear: f64,
    /// Attention's products alone.
    pub attention: f64,
    /// The products of the whole graph, counting all time spent in the graph. `None` if it was not run.
    pub graph: Option<f64>,
}

/// Batches to run through the whole graph, by index, and the work of each.
pub struct Whole<'a> {
    /// Runs the batch with this index.
    pub run: &'a (dyn Fn(usize) -> Result<(), InferenceError> + Sync),
    pub work: &'a [Work],
}

/// Measures a model's products on batches of these shapes, on all workers at once, alternating with the whole graph.
///
/// # Errors
/// If the products can't be run.
pub fn measure(
    runtime: &Runtime,
    subject: &Subject,
    workers: NonZeroUsize,
    shapes: &[BatchShape],
    whole: Option<&Whole>,
) -> Result<Rates, EngineError> {
    let products = &subject.products;
    let mut sessions = ProductSessions::open(runtime, &subject.graph, products, workers)?;
    let linear: Vec<f64> = shapes
        .iter()
        .map(|shape| products.linear_operations(shape.tokens, shape.sequences))
        .collect();
    let attention: Vec<f64> = shapes
        .iter()
        .map(|shape| float(shape.sequences) * products.attention_operations(shape.attention_length))
        .collect();
    let graph: Vec<f64> = whole
        .iter()
        .flat_map(|whole| whole.work)
        .map(|work| work.total())
        .collect();
    let mut best = Rates {
        linear: 0.0,
        attention: 0.0,
        graph: None,
    };
    for _ in 0..ROUNDS {
        let rate = operations_per_second(&mut sessions, &linear, |sessions, batch| {
            sessions.run_linear(shapes[batch])
        })?;
        best.linear = best.linear.max(rate);
        let rate = operations_per_second(&mut sessions, &attention, |sessions, batch| {
            sessions.run_attention(shapes[batch])
        })?;
        best.attention = best.attention.max(rate);
        if let Some(whole) = whole {
            let rate = operations_per_second(&mut sessions, &graph, |_, batch| {
                (whole.run)(batch).map_err(EngineError::Inference)
            })?;
            best.graph = Some(best.graph.map_or(rate, |best| best.max(rate)));
        }
    }
    Ok(best)
}

/// Runs batches in turn for [`SLICE`], with one thread per worker.
fn operations_per_second<W: Send>(
    workers: &mut [W],
    operations: &[f64],
    run: impl Fn(&mut W, usize) -> Result<(), EngineError> + Sync,
) -> Result<f64, EngineError> {
    let begin = Barrier::new(workers.len());
    let count = workers.len();
    let work = &|number: usize, worker: &mut W| {
        begin.wait();
        let start = Instant::now();
        let mut done = 0.0;
        // Workers take batches in turn, as a server's workers do.
        let batches = (number..)
            .step_by(count)
            .map(|turn| turn % operations.len());
        for batch in batches {
            run(worker, batch)?;
            done += operations[batch];
            if start.elapsed() >= SLICE {
                break;
            }
        }
        Ok(done / start.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .enumerate()
            .map(|(number, worker)| scope.spawn(move || work(number, worker)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                let panicked = || EngineError::Panicked;
                thread.join().map_err(|_| panicked())?
            })
            .sum()
    })
}

/// The limit for a mix of work, and the share of it that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// All products, in billions of operations per second.
    pub gflops: f64,
    /// The linear products alone.
    pub linear_gflops: f64,
    /// Attention's products alone.
    pub attention_gflops: f64,
    /// The measured throughput as a share of `gflops`.
    pub share_reached: f64,
    /// The time of the products alone as a share of the whole graph's time, on the same batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub products_share_of_graph: Option<f64>,
}

impl Limit {
    /// The limit for the models' work, each with its rates. `reached` is the measured throughput in operations per
    /// second. `None` without work.
    #[must_use]
    pub fn of(models: &[(Work, Rates)], reached: f64) -> Option<Self> {
        let sum = |part: &dyn Fn(&(Work, Rates)) -> f64| models.iter().map(part).sum::<f64>();
        let linear = sum(&|(work, _)| work.linear);
        let attention = sum(&|(work, _)| work.attention);
        let linear_seconds = sum(&|(work, rates)| work.linear / rates.linear);
        let attention_seconds = sum(&|(work, rates)| work.attention / rates.attention);
        let seconds = linear_seconds + attention_seconds;
        if seconds <= 0.0 {
            return None;
        }
        let graph_seconds = models
            .iter()
            .map(|(work, rates)| Some(work.total() / rates.graph?))
            .sum::<Option<f64>>();
        let limit = (linear + attention) / seconds;
        Some(Self {
            gflops: limit / 1e9,
            linear_gflops: linear / linear_seconds / 1e9,
            attention_gflops: attention / attention_seconds / 1e9,
            share_reached: reached / limit,
            products_share_of_graph: graph_seconds.map(|graph| seconds / graph),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_stands_for_the_attention_work_of_its_sequences() {
        let found = shape(&[10, 20, 40]);
        assert_eq!((found.tokens, found.sequences), (70, 3));
        // 3 · 26² = 2028, and 10² + 20² + 40² = 2100.
        assert_eq!(found.attention_length, 26);
        assert_eq!(shape(&[7, 7]).attention_length, 7);
    }

    #[test]
    fn the_limit_is_the_time_of_all_products_together() {
        let rates = Rates {
            linear: 100e9,
            attention: 50e9,
            graph: Some(60e9),
        };
        let work = Work {
            linear: 300e9,
            attention: 50e9,
        };
        // 3 s of linear products and 1 s of attention's products.
        let limit = Limit::of(&[(work, rates)], 43.75e9).unwrap();
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found}");
        close(limit.gflops, 87.5);
        close(limit.linear_gflops, 100.0);
        close(limit.attention_gflops, 50.0);
        close(limit.share_reached, 0.5);
        close(limit.products_share_of_graph.unwrap(), 4.0 / (350.0 / 60.0));
        assert_eq!(Limit::of(&[], 1.0), None);
    }
}
