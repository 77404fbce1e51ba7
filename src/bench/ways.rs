//! The ways to measure: the engine alone, the service, a server of its own, and a running server.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use hyper::Uri;
use hyper::body::Bytes;
use hyper::http::uri::{Authority, PathAndQuery};

use super::BenchError;
use super::batches::BatchTotals;
use super::drive::{Drive, Driven};
use super::engine::{self, Batch, Job};
use super::grpc::GrpcTarget;
use super::http::{HttpCall, HttpTarget};
use super::load::LoadTarget;
use super::report::ArrivalsReport;
use super::requests::{self, Request};
use super::run::{Bench, Measured};
use super::server::{self, OwnServer};
use super::service::ServiceTarget;
use super::statistics::Summary;
use super::subject::Subject;
use crate::batch::BatchSizing;
use crate::engine::{EngineError, EngineOptions, Graph, Runtime};
use crate::loading::WarmUp;
use crate::numbers::float;

impl Bench<'_> {
    /// Runs full batches of tokens through the graphs, on threads of its own.
    pub(super) fn engine(&self) -> Result<Measured, BenchError> {
        let runtime = Runtime::load(self.config.onnxruntime_library.as_deref())?;
        let options = EngineOptions {
            device: self.config.device,
            sessions: self.config.workers,
        };
        let load = |subject: &Subject| Graph::load(&runtime, &subject.graph, &options);
        let graphs = self
            .subjects
            .iter()
            .map(load)
            .collect::<Result<Vec<_>, _>>()?;
        let batches = self
            .warmed(&graphs)?
            .into_iter()
            .enumerate()
            .map(|(index, sizing)| self.batches(index, sizing.batch_tokens))
            .collect::<Vec<Vec<Batch>>>();
        let jobs = self.jobs(&graphs, &batches);
        let end = self.options.warm_up + self.options.measured;
        let run = engine::run(&jobs, self.config.workers, end).map_err(EngineError::Inference)?;
        let measured = self.options.warm_up..end;
        let batches_run = run
            .batches
            .iter()
            .filter(|end| measured.contains(*end))
            .count();
        let summary = Summary::of(&run.samples, measured);
        let totals = BatchTotals {
            batches: float(batches_run),
            sequences: float(summary.answered.len()),
            tokens: float(self.tokens(&summary)),
        };
        let rates = if graphs.iter().any(|graph| graph.device().is_gpu()) {
            None
        } else {
            let models = self.subjects.iter().zip(&graphs).zip(&batches);
            let rates = models.map(|((subject, graph), batches)| {
                self.rates_beside_graph(&runtime, subject, graph, batches)
            });
            Some(rates.collect::<Result<_, _>>()?)
        };
        Ok(Measured {
            arrivals: ArrivalsReport::None,
            batches: totals.mean(),
            summary,
            padding: Some(0.0),
            rates,
        })
    }

    /// Warms up graphs as a server does, and measures the batch sizes that suit them.
    fn warmed(&self, graphs: &[Graph]) -> Result<Vec<BatchSizing>, BenchError> {
        let models = self.subjects.iter().zip(graphs);
        let sizings = models.map(|(subject, graph)| {
            let warm_up = WarmUp {
                graph,
                special_tokens: subject.tokenizer.special_tokens(),
                max_tokens: subject.longest_sequence,
            };
            let sizing = warm_up.run(self.config.workers, self.config.batch_tokens, None);
            sizing.map_err(|error| BenchError::Model {
                name: subject.name.clone(),
                reason: error.to_string(),
            })
        });
        sizings.collect()
    }

    /// Sends requests to the service of a server that does not listen.
    pub(super) fn service(&self) -> Result<Measured, BenchError> {
        let (runtime, app) = server::build(self.config, self.subjects)?;
        let timeout = self.config.timeouts.request;
        let service = app.service().clone();
        let target = ServiceTarget::new(service, self.subjects, self.requests, timeout);
        let target = Arc::new(target.map_err(|error| BenchError::Usage(error.to_string()))?);
        let totals = async || self.totals(&app.metrics().encode().ok()?);
        let driven = runtime.block_on(self.drive().run(&target, totals));
        let on_cpu = server::on_cpu(&app, self.subjects);
        self.with_rates(Measured::of(driven), on_cpu)
    }

    /// Starts a server and sends requests to it over HTTP.
    pub(super) fn own_http_server(&self) -> Result<Measured, BenchError> {
        self.own_server(|server| {
            let prepare = |request: &Request| {
                let Subject { name, task, .. } = &self.subjects[request.subject];
                let uri = format!("http://{}/{task}", server.http);
                Ok(HttpCall {
                    uri: uri.parse().map_err(std::io::Error::other)?,
                    body: Bytes::from(request.body(name).to_string()),
                })
            };
            let prepared = self.requests.iter().map(prepare);
            Ok(HttpTarget::new(
                prepared.collect::<Result<_, BenchError>>()?,
            ))
        })
    }

    /// Starts a server and sends requests to it over gRPC.
    pub(super) fn own_grpc_server(&self) -> Result<Measured, BenchError> {
        self.own_server(|server| {
            GrpcTarget::new(&server.grpc.to_string(), self.subjects, self.requests)
        })
    }

    /// Starts a server, and drives the target that `target` makes for it.
    fn own_server<T: LoadTarget>(
        &self,
        target: impl FnOnce(&OwnServer) -> Result<T, BenchError>,
    ) -> Result<Measured, BenchError> {
        let server = OwnServer::start(self.config, self.subjects)?;
        let totals = async || self.totals(&server.metrics.encode().ok()?);
        let clients = server::client_runtime()?;
        let target = Arc::new(clients.block_on(async { target(&server) })?);
        let driven = clients.block_on(self.drive().run(&target, totals));
        drop((target, clients));
        let on_cpu = server.on_cpu;
        server.stop()?;
        self.with_rates(Measured::of(driven), on_cpu)
    }

    /// Sends requests to a running server over HTTP.
    pub(super) fn other_http_server(
        &self,
        url: &Uri,
        template: Option<&str>,
    ) -> Result<Measured, BenchError> {
        let [subject] = self.subjects else {
            let reason = "A running server is measured with one model at a time; name one.";
            return Err(BenchError::Usage(reason.to_owned()));
        };
        let places = requests::places(subject.task);
        if let Some(template) = template
            && let Some(place) = places.iter().find(|place| !template.contains(**place))
        {
            let reason =
                format!("--body lacks {place}, which stands for a JSON string with its quotes.");
            return Err(BenchError::Usage(reason));
        }
        let prepare = |request: &Request| HttpCall {
            uri: url.clone(),
            body: Bytes::from(match template {
                Some(template) => request.fill(template),
                None => request.body(&subject.name).to_string(),
            }),
        };
        let prepared = self.requests.iter().map(prepare).collect();
        let metrics_url = beside(url, "/metrics")?;
        let clients = server::client_runtime()?;
        let target = Arc::new(HttpTarget::new(prepared));
        let totals = async || self.totals(&target.get(metrics_url.clone()).await?);
        let driven = clients.block_on(self.drive().run(&target, totals));
        self.of_other_server(driven, url.host())
    }

    /// Sends requests to a running server over gRPC.
    pub(super) fn other_grpc_server(&self, address: &Authority) -> Result<Measured, BenchError> {
        let clients = server::client_runtime()?;
        let target = clients
            .block_on(async { GrpcTarget::new(address.as_str(), self.subjects, self.requests) })?;
        // Batch statistics are available over HTTP only, and the server's HTTP address is unknown here.
        let driven = clients.block_on(self.drive().run(&Arc::new(target), async || None));
        self.of_other_server(driven, Some(address.host()))
    }

    /// The measurements of a running server, with this machine's limit if the server runs on it.
    fn of_other_server(&self, driven: Driven, host: Option<&str>) -> Result<Measured, BenchError> {
        let here = host.is_some_and(is_this_machine) && !self.config.device.is_gpu();
        self.with_rates(Measured::of(driven), here)
    }

    fn drive(&self) -> Drive {
        Drive {
            load: self.options.load,
            warm_up: self.options.warm_up,
            measured: self.options.measured,
            seed: self.options.seed,
            requests: NonZeroUsize::new(self.requests.len()).unwrap_or(NonZeroUsize::MIN),
            workers: self.config.workers,
        }
    }

    fn totals(&self, metrics: &str) -> Option<BatchTotals> {
        let names: Vec<&str> = self
            .subjects
            .iter()
            .map(|subject| subject.name.as_str())
            .collect();
        BatchTotals::read(metrics, &names)
    }

    /// The batches of all models, in turn.
    fn jobs<'a>(&'a self, graphs: &'a [Graph], batches: &'a [Vec<Batch>]) -> Vec<Job<'a, Graph>> {
        let longest = batches.iter().map(Vec::len).max().unwrap_or(0);
        let turns = (0..longest).flat_map(|turn| {
            let models = graphs.iter().zip(batches);
            models.filter_map(move |(model, batches)| Some((model, batches.get(turn)?)))
        });
        turns
            .map(|(model, requests)| Job {
                model,
                requests,
                sequences: self.sequences(requests),
            })
            .collect()
    }
}

/// Another path on the same server as the URL.
fn beside(url: &Uri, path: &'static str) -> Result<Uri, BenchError> {
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static(path));
    Uri::from_parts(parts)
        .map_err(|error| BenchError::Usage(format!("{url} is not a URL: {error}")))
}

/// Whether the host name denotes the machine that the load runs on.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_looked_for_beside_the_route() {
        for (url, expected) in [
            (
                "http://localhost:8080/classify?a=b",
                "http://localhost:8080/metrics",
            ),
            ("http://[::1]", "http://[::1]/metrics"),
        ] {
            let url: Uri = url.parse().unwrap();
            assert_eq!(beside(&url, "/metrics").unwrap().to_string(), expected);
        }
    }

    #[test]
    fn loopback_addresses_are_this_machine() {
        for (host, expected) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("example.org", false),
        ] {
            assert_eq!(is_this_machine(host), expected, "{host}");
        }
    }
}
