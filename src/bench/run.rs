//! One measurement from start to end: requests, load, machine limit, report.

use std::num::NonZeroUsize;

use fastrand::Rng;

use super::batches::MeanBatch;
use super::drive::Driven;
use super::engine::{self, Batch};
use super::limit::{self, Limit, Rates, Whole, Work};
use super::load::Arrivals;
use super::report::{ArrivalsReport, BenchReport, LoadReport, Throughput};
use super::requests::{self, Request, Source};
use super::statistics::Summary;
use super::subject::Subject;
use super::{BenchError, BenchOptions, BenchTexts, Via};
use crate::app;
use crate::config::Config;
use crate::engine::{BatchShape, Graph, Runtime};
use crate::inference::Model as _;
use crate::inference::{Cores, Sequence};
use crate::model_folder::scan;
use crate::numbers::float;

/// The most batches whose shapes are used to measure the limit.
const SHAPES: usize = 64;
/// The token budget assumed for a server that does not report its batches.
const USUAL_BUDGET: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// Runs a measurement, with the server's settings in `config`. Blocks, so call it outside a tokio runtime.
///
/// # Errors
/// If nothing could be measured, or no request was answered.
pub fn run(options: &BenchOptions, config: &Config) -> Result<BenchReport, BenchError> {
    let mut config = config.clone();
    config.workers = app::within_cores(config.workers);
    let subjects = Subject::read_all(&scan(&config.models)?, &options.models)?;
    let source = match &options.texts {
        BenchTexts::Lengths(lengths) => Source::Lengths {
            lengths: lengths.unwrap_or_default(),
            shorten: lengths.is_none(),
        },
        BenchTexts::File(path) => Source::File(path),
    };
    let requests = requests::prepare(&subjects, &source, &mut Rng::with_seed(options.seed))?;
    let bench = Bench {
        options,
        config: &config,
        subjects: &subjects,
        requests: &requests,
    };
    let measured = match &options.via {
        Via::Engine => bench.engine()?,
        Via::Service => bench.service()?,
        Via::Http => bench.own_http_server()?,
        Via::Grpc => bench.own_grpc_server()?,
        Via::HttpAt { url, template } => bench.other_http_server(url, template.as_deref())?,
        Via::GrpcAt(address) => bench.other_grpc_server(address)?,
    };
    if measured.summary.answered.is_empty() {
        return Err(BenchError::NoAnswer(reasons(&measured.summary)));
    }
    Ok(bench.report(measured, &source))
}

/// The inputs of all ways to measure.
pub(super) struct Bench<'a> {
    pub(super) options: &'a BenchOptions,
    pub(super) config: &'a Config,
    pub(super) subjects: &'a [Subject],
    pub(super) requests: &'a [Request],
}

/// The results of all ways to measure.
pub(super) struct Measured {
    pub(super) arrivals: ArrivalsReport,
    pub(super) summary: Summary,
    pub(super) batches: Option<MeanBatch>,
    /// Padding tokens per real token in matrix products, if known.
    pub(super) padding: Option<f64>,
    /// The rates of each model's matrix products on this machine. `None` if the models do not run on its CPU.
    pub(super) rates: Option<Vec<Rates>>,
}

impl Measured {
    pub(super) fn of(driven: Driven) -> Self {
        let arrivals = match driven.arrivals {
            Arrivals::Closed { concurrency } => ArrivalsReport::Closed {
                concurrency: concurrency.get(),
            },
            Arrivals::Open { rate } => ArrivalsReport::Open {
                rate,
                closed_loop_requests_per_second: driven.saturation,
            },
        };
        Self {
            arrivals,
            summary: driven.summary,
            batches: driven.batches,
            // Only electra servers report their batches, and their graphs take no padding.
            padding: driven.batches.map(|_| 0.0),
            rates: None,
        }
    }
}

impl Bench<'_> {
    /// The indices and sequences of one model's requests.
    fn requests_of(&self, subject: usize) -> impl Iterator<Item = (usize, &Sequence)> {
        self.requests
            .iter()
            .enumerate()
            .filter(move |(_, request)| request.subject == subject)
            .map(|(position, request)| (position, &request.sequence))
    }

    /// One model's requests, in batches that fill the token budget.
    pub(super) fn batches(&self, subject: usize, batch_tokens: NonZeroUsize) -> Vec<Batch> {
        let (positions, lengths): (Vec<usize>, Vec<usize>) = self
            .requests_of(subject)
            .map(|(position, sequence)| (position, sequence.len()))
            .unzip();
        let batches = engine::form_batches(&lengths, batch_tokens);
        let in_all = |batch: Batch| {
            batch
                .into_iter()
                .map(|request| positions[request])
                .collect()
        };
        batches.into_iter().map(in_all).collect()
    }

    pub(super) fn sequences(&self, batch: &[usize]) -> Vec<&Sequence> {
        batch
            .iter()
            .map(|&request| &self.requests[request].sequence)
            .collect()
    }

    pub(super) fn lengths(&self, batch: &[usize]) -> Vec<usize> {
        batch
            .iter()
            .map(|&request| self.requests[request].sequence.len())
            .collect()
    }

    /// Measures a model's products and its whole graph in alternation, on the same batches.
    pub(super) fn rates_beside_graph(
        &self,
        runtime: &Runtime,
        subject: &Subject,
        graph: &Graph,
        batches: &[Batch],
    ) -> Result<Rates, BenchError> {
        let batches = &batches[..batches.len().min(SHAPES)];
        let lengths: Vec<Vec<usize>> = batches.iter().map(|batch| self.lengths(batch)).collect();
        let shapes: Vec<BatchShape> = lengths
            .iter()
            .map(|lengths| limit::shape(lengths))
            .collect();
        let work = lengths
            .iter()
            .map(|lengths| Work::of(subject, lengths.iter().copied()));
        let work: Vec<Work> = work.collect();
        let sequences: Vec<Vec<&Sequence>> =
            batches.iter().map(|batch| self.sequences(batch)).collect();
        let whole = Whole {
            run: &|batch| graph.run(&sequences[batch], Cores::One).map(drop),
            work: &work,
        };
        let workers = self.config.workers;
        Ok(limit::measure(
            runtime,
            subject,
            workers,
            &shapes,
            Some(&whole),
        )?)
    }

    /// Adds the rates of the products, on the server's mean batch, or on the batches that it would form under full
    /// load.
    pub(super) fn with_rates(
        &self,
        mut measured: Measured,
        on_cpu: bool,
    ) -> Result<Measured, BenchError> {
        if !on_cpu || measured.summary.answered.is_empty() {
            return Ok(measured);
        }
        let runtime = Runtime::load(self.config.onnxruntime_library.as_deref())?;
        let rates = self.subjects.iter().enumerate().map(|(index, subject)| {
            let shapes = if let Some(mean) = measured.batches {
                vec![self.mean_shape(index, mean)]
            } else {
                let batches = self.batches(index, USUAL_BUDGET);
                let batches = batches.iter().take(SHAPES);
                batches
                    .map(|batch| limit::shape(&self.lengths(batch)))
                    .collect()
            };
            Ok(limit::measure(
                &runtime,
                subject,
                self.config.workers,
                &shapes,
                None,
            )?)
        });
        measured.rates = Some(rates.collect::<Result<_, BenchError>>()?);
        Ok(measured)
    }

    fn mean_shape(&self, subject: usize, mean: MeanBatch) -> BatchShape {
        let lengths: Vec<usize> = self
            .requests_of(subject)
            .map(|(_, sequence)| sequence.len())
            .collect();
        limit::mean_shape(
            limit::rounded(mean.tokens),
            limit::rounded(mean.sequences),
            limit::mean_square(&lengths),
        )
    }

    pub(super) fn tokens(&self, summary: &Summary) -> usize {
        self.lengths(&summary.answered).iter().sum()
    }

    fn report(&self, measured: Measured, source: &Source) -> BenchReport {
        let summary = &measured.summary;
        let work: Vec<Work> = self
            .subjects
            .iter()
            .enumerate()
            .map(|(index, subject)| {
                let answered = summary
                    .answered
                    .iter()
                    .map(|&request| &self.requests[request]);
                let own = answered.filter(|request| request.subject == index);
                Work::of(subject, own.map(|request| request.sequence.len()))
            })
            .collect();
        let operations: f64 = work.iter().map(|work| work.total()).sum();
        let reached = summary.per_second(operations);
        let tokens = self.tokens(summary);
        let limit = measured.rates.and_then(|rates| {
            let models: Vec<(Work, Rates)> = work.into_iter().zip(rates).collect();
            Limit::of(&models, reached)
        });
        let url = self.options.via.url();
        let own = url.is_none();
        BenchReport {
            models: self
                .subjects
                .iter()
                .map(|subject| subject.name.clone())
                .collect(),
            via: self.options.via.name(),
            url,
            workers: own.then_some(self.config.workers.get()),
            batch_tokens: self
                .config
                .batch_tokens
                .filter(|_| own)
                .map(NonZeroUsize::get),
            load: LoadReport {
                arrivals: measured.arrivals,
                texts: match source {
                    Source::Lengths { lengths, .. } => lengths.to_string(),
                    Source::File(path) => path.display().to_string(),
                },
                seconds: self.options.measured.as_secs_f64(),
                warm_up_seconds: self.options.warm_up.as_secs_f64(),
                seed: self.options.seed,
            },
            throughput: Throughput {
                requests_per_second: summary.requests_per_second(),
                tokens_per_second: summary.per_second(float(tokens)),
                gflops: reached / 1e9,
            },
            requests: summary.answered.len(),
            tokens,
            latency: summary.latency,
            failures: summary.failures.clone(),
            time_shares: summary.time_shares,
            batches: measured.batches,
            padding: measured.padding,
            limit,
        }
    }
}

fn reasons(summary: &Summary) -> String {
    let reasons = summary.failures.iter().map(|(kind, failed)| {
        format!(
            "{} failed with {kind}, the first: {}",
            failed.requests, failed.reason
        )
    });
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() {
        "None was due in the measured time; raise --seconds to measure longer.".to_owned()
    } else {
        reasons.join("; ")
    }
}
