//! The process's metrics, in the `OpenMetrics` text format that Prometheus scrapes. There is no global registry: a
//! [`Metrics`] value is passed to all code that measures.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::statistics::ModelStatistics;
use crate::numbers::{float, signed};

/// The media type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Histogram bounds in seconds, from 100 microseconds (a short batch of a small model) to 30 seconds (the default
/// request timeout).
const SECONDS: [f64; 17] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
const SEQUENCES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
const TOKENS: [f64; 11] = [
    16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0,
];

/// All metrics of the process. Clones share the same counters.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<RouteLabels, Histogram, Buckets>,
    queue_depth: Family<ModelLabels, Gauge>,
    queue_tokens: Family<ModelLabels, Gauge>,
    queue_wait: Family<ModelLabels, Histogram, Buckets>,
    batch_sequences: Family<ModelLabels, Histogram, Buckets>,
    batch_tokens: Family<ModelLabels, Histogram, Buckets>,
    inference_duration: Family<ModelLabels, Histogram, Buckets>,
    tokens: Family<ModelLabels, Counter>,
    sequences_dropped: Family<DropLabels, Counter>,
    requests_rejected: Family<RejectLabels, Counter>,
    requests_admitted: Family<KeyLabels, Counter>,
    requests_denied: Family<DenyLabels, Counter>,
    inflight_bytes: Gauge,
    model_ready: Family<ModelDescription, Gauge>,
    model_load_failed: Family<VersionLabels, Gauge>,
    connections: Family<ProtocolLabels, Gauge>,
    connections_closed: Family<ReasonLabels, Counter>,
    handshakes_failed: Family<ReasonLabels, Counter>,
}

impl Metrics {
    /// Registers all metrics. `version` is the server's.
    #[must_use]
    pub fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("electra");
        let build = Info::new([("version", version.to_owned())]);
        registry.register("build", "The server's version", build);
        let seconds = Unit::Seconds;
        Self {
            inflight_bytes: bytes(
                &mut registry,
                "inflight",
                "Bytes that requests and unsent answers hold",
            ),
            requests: counter(&mut registry, "requests", "Requests answered, by status"),
            request_duration: histogram(
                &mut registry,
                "request_duration",
                "Time from a request's arrival to its answer",
                Some(seconds.clone()),
                &SECONDS,
            ),
            queue_depth: gauge(
                &mut registry,
                "queue_depth",
                "Sequences waiting for a worker",
            ),
            queue_tokens: gauge(
                &mut registry,
                "queue_tokens",
                "Tokens of the sequences waiting for a worker",
            ),
            queue_wait: histogram(
                &mut registry,
                "queue_wait",
                "Time that a sequence waited for a worker",
                Some(seconds.clone()),
                &SECONDS,
            ),
            batch_sequences: histogram(
                &mut registry,
                "batch_sequences",
                "Sequences per batch",
                None,
                &SEQUENCES,
            ),
            batch_tokens: histogram(
                &mut registry,
                "batch_tokens",
                "Tokens per batch, padding not counted",
                None,
                &TOKENS,
            ),
            inference_duration: histogram(
                &mut registry,
                "inference_duration",
                "Time that a batch ran",
                Some(seconds),
                &SECONDS,
            ),
            tokens: counter(&mut registry, "tokens", "Tokens run, padding not counted"),
            sequences_dropped: counter(
                &mut registry,
                "sequences_dropped",
                "Sequences dropped before they ran, because their deadline passed or their client disconnected",
            ),
            requests_rejected: counter(
                &mut registry,
                "requests_rejected",
                "Requests refused because they would have waited or taken too long, by reason",
            ),
            requests_admitted: counter(
                &mut registry,
                "requests_admitted",
                "Requests that were let in, by key",
            ),
            requests_denied: counter(
                &mut registry,
                "requests_denied",
                "Requests that were not let in, by key and reason",
            ),
            model_ready: gauge(
                &mut registry,
                "model_ready",
                "1 if the model is loaded, 0 if it failed to load",
            ),
            model_load_failed: gauge(
                &mut registry,
                "model_load_failed",
                "1 if the version's current files failed to load, even if the previously loaded files still serve",
            ),
            connections: gauge(&mut registry, "connections", "Open connections"),
            connections_closed: counter(
                &mut registry,
                "connections_closed",
                "Connections that the server closed because of their peer",
            ),
            handshakes_failed: counter(
                &mut registry,
                "tls_handshakes_failed",
                "TLS handshakes that failed, by reason",
            ),
            registry: Arc::new(registry),
        }
    }

    /// Creates a model's metrics at zero, and returns a handle that counts without looking up labels.
    #[must_use]
    pub fn model(&self, name: &str) -> ModelMetrics {
        let labels = ModelLabels {
            model: name.to_owned(),
        };
        let dropped = |reason: DropReason| {
            self.sequences_dropped.get_or_create_owned(&DropLabels {
                model: name.to_owned(),
                reason: reason.label(),
            })
        };
        let rejected = |reason: RejectReason| {
            self.requests_rejected.get_or_create_owned(&RejectLabels {
                model: name.to_owned(),
                reason: reason.label(),
            })
        };
        ModelMetrics {
            queue_tokens: self.queue_tokens.get_or_create_owned(&labels),
            queue_depth: self.queue_depth.get_or_create_owned(&labels),
            queue_wait: self.queue_wait.get_or_create_owned(&labels),
            batch_sequences: self.batch_sequences.get_or_create_owned(&labels),
            batch_tokens: self.batch_tokens.get_or_create_owned(&labels),
            inference_duration: self.inference_duration.get_or_create_owned(&labels),
            tokens: self.tokens.get_or_create_owned(&labels),
            expired: dropped(DropReason::Expired),
            cancelled: dropped(DropReason::Cancelled),
            rejected: RejectReason::ALL.map(rejected),
            statistics: Arc::default(),
        }
    }

    /// Counts a request that was refused before its model was known.
    pub fn request_rejected(&self, reason: RejectReason) {
        let labels = RejectLabels {
            model: String::new(),
            reason: reason.label(),
        };
        self.requests_rejected.get_or_create(&labels).inc();
    }

    /// Creates a key's metrics at zero, or with the empty name those of requests without a key. `key` must be a name that
    /// the operator chose, of which there are few, never a client's text.
    #[must_use]
    pub fn key(&self, key: &str) -> KeyMetrics {
        let labels = KeyLabels {
            key: key.to_owned(),
        };
        KeyMetrics {
            requests: self.requests_admitted.get_or_create_owned(&labels),
            denied: self.requests_denied.clone(),
            key: key.into(),
        }
    }

    /// Creates the metrics of a route and model at zero, before the first request.
    pub fn declare_route(&self, route: &str, model: &str) {
        let _ = self
            .requests
            .get_or_create(&RequestLabels::new(route, model, 200));
        let _ = self
            .request_duration
            .get_or_create(&RouteLabels::new(route, model));
    }

    /// Counts a request that was answered with the HTTP status `code`. `route` and `model` must be names that the
    /// server chose (the route's pattern, a loaded model or the empty string), never a client's text: each new pair is
    /// kept forever.
    pub fn request_finished(&self, route: &str, model: &str, code: u16, duration: Duration) {
        self.requests
            .get_or_create(&RequestLabels::new(route, model, code))
            .inc();
        self.request_duration
            .get_or_create(&RouteLabels::new(route, model))
            .observe(duration.as_secs_f64());
    }

    /// Sets what requests and unsent answers hold. Called before [`Self::encode`].
    pub fn set_inflight_bytes(&self, bytes: usize) {
        self.inflight_bytes.set(signed(bytes));
    }

    /// Sets whether a model answers requests.
    pub fn model_ready(&self, model: &ModelDescription, ready: bool) {
        self.model_ready.get_or_create(model).set(i64::from(ready));
    }

    /// Removes the series of a model with this description.
    pub fn forget_model(&self, model: &ModelDescription) {
        self.model_ready.remove(model);
    }

    /// Sets whether a version's files could not be loaded.
    pub fn load_failed(&self, model: &str, version: impl fmt::Display, failed: bool) {
        self.model_load_failed
            .get_or_create(&VersionLabels::new(model, version))
            .set(i64::from(failed));
    }

    /// Removes the series of a version that no longer exists.
    pub fn forget_load(&self, model: &str, version: impl fmt::Display) {
        self.model_load_failed
            .remove(&VersionLabels::new(model, version));
    }

    /// Creates the metrics of connections in a protocol at zero.
    #[must_use]
    pub fn open_connections(&self, protocol: &'static str) -> OpenConnections {
        for reason in CloseReason::ALL {
            let _ = self.connections_closed.get_or_create(&reason.labels());
        }
        for reason in HandshakeFailure::ALL {
            let _ = self.handshakes_failed.get_or_create(&reason.labels());
        }
        let labels = ProtocolLabels { protocol };
        OpenConnections(self.connections.get_or_create_owned(&labels))
    }

    /// Counts a connection that the server closed.
    pub fn connection_closed(&self, reason: CloseReason) {
        self.connections_closed
            .get_or_create(&reason.labels())
            .inc();
    }

    /// Counts a TLS handshake that failed.
    pub fn handshake_failed(&self, reason: HandshakeFailure) {
        self.handshakes_failed.get_or_create(&reason.labels()).inc();
    }

    /// All metrics as `OpenMetrics` text, see [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// If a metric can't be formatted, which none of these does.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut exposition = String::new();
        text::encode(&mut exposition, &self.registry)?;
        Ok(exposition)
    }
}

/// A handle to one key's metrics.
#[derive(Debug, Clone)]
pub struct KeyMetrics {
    requests: Counter,
    denied: Family<DenyLabels, Counter>,
    key: Arc<str>,
}

impl KeyMetrics {
    /// Counts a request that was let in.
    pub fn admitted(&self) {
        self.requests.inc();
    }

    /// Creates the count of requests that are not let in for this reason at zero.
    pub fn declare_denied(&self, reason: &'static str) {
        let _ = self.denied.get_or_create(&self.labels(reason));
    }

    /// Counts a request that was not let in.
    pub fn denied(&self, reason: &'static str) {
        self.denied.get_or_create(&self.labels(reason)).inc();
    }

    fn labels(&self, reason: &'static str) -> DenyLabels {
        DenyLabels {
            key: self.key.to_string(),
            reason,
        }
    }
}

/// A handle to one model's metrics.
#[derive(Debug, Clone)]
pub struct ModelMetrics {
    queue_depth: Gauge,
    queue_tokens: Gauge,
    queue_wait: Histogram,
    batch_sequences: Histogram,
    batch_tokens: Histogram,
    inference_duration: Histogram,
    tokens: Counter,
    expired: Counter,
    cancelled: Counter,
    /// In the order of [`RejectReason::ALL`].
    rejected: [Counter; RejectReason::ALL.len()],
    statistics: Arc<ModelStatistics>,
}

impl ModelMetrics {
    /// The statistics of the one queue that this handle was created for.
    #[must_use]
    pub fn statistics(&self) -> &ModelStatistics {
        &self.statistics
    }

    /// Updates the number of waiting sequences in one of the model's queues. The metric is the sum over all of them.
    pub fn queue_depth_changed(&self, before: usize, now: usize) {
        self.queue_depth.inc_by(signed(now) - signed(before));
    }

    /// The same for the tokens of waiting sequences.
    pub fn queue_tokens_changed(&self, before: usize, now: usize) {
        self.queue_tokens.inc_by(signed(now) - signed(before));
    }

    /// Records how long a sequence waited before it ran.
    pub fn queue_wait(&self, duration: Duration) {
        self.queue_wait.observe(duration.as_secs_f64());
    }

    /// Records a batch.
    pub fn batch_run(&self, sequences: usize, tokens: usize, duration: Duration) {
        self.batch_sequences.observe(float(sequences));
        self.batch_tokens.observe(float(tokens));
        self.inference_duration.observe(duration.as_secs_f64());
        self.tokens.inc_by(tokens as u64);
        self.statistics.batch_run(sequences, duration);
    }

    /// Counts accepted sequences that were dropped before they ran.
    pub fn sequences_dropped(&self, reason: DropReason, sequences: usize) {
        match reason {
            DropReason::Expired => &self.expired,
            DropReason::Cancelled => &self.cancelled,
        }
        .inc_by(sequences as u64);
    }

    /// Counts a request that was refused.
    pub fn request_rejected(&self, reason: RejectReason) {
        self.rejected[reason as usize].inc();
    }
}

/// Why a request was refused before it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// It would have waited too long for its first batch.
    Wait,
    /// Its answer would not have been ready by its deadline.
    Deadline,
    /// Too many sequences were waiting.
    Capacity,
}

impl RejectReason {
    const ALL: [Self; 3] = [Self::Wait, Self::Deadline, Self::Capacity];

    fn label(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Deadline => "deadline",
            Self::Capacity => "capacity",
        }
    }
}

/// Why an accepted sequence was not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Its deadline passed.
    Expired,
    /// The request was abandoned: its client disconnected, or another of its sequences failed.
    Cancelled,
}

impl DropReason {
    fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A handle to the number of open connections in one protocol.
#[derive(Debug, Clone)]
pub struct OpenConnections(Gauge);

impl OpenConnections {
    /// Counts a connection until the value is dropped.
    #[must_use]
    pub fn count(&self) -> OpenConnection {
        self.0.inc();
        OpenConnection(self.0.clone())
    }
}

/// An open connection.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Why the server closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// It sent no request.
    FirstRequest,
    /// It sent no further request.
    Idle,
    /// It did not take its responses.
    Stalled,
    /// There are as many connections as there may be, and it was reserved for health checks.
    OverMaximum,
    /// There are as many connections as there may be, and it gave way to one of a client that holds fewer.
    Displaced,
    /// It was reserved for health checks, and its time was up.
    Reserved,
}

impl CloseReason {
    const ALL: [Self; 6] = [
        Self::FirstRequest,
        Self::Idle,
        Self::Stalled,
        Self::OverMaximum,
        Self::Displaced,
        Self::Reserved,
    ];

    fn labels(self) -> ReasonLabels {
        ReasonLabels {
            reason: match self {
                Self::FirstRequest => "first_request",
                Self::Idle => "idle",
                Self::Stalled => "stalled",
                Self::OverMaximum => "over_maximum",
                Self::Displaced => "displaced",
                Self::Reserved => "reserved",
            },
        }
    }
}

/// Why a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The peer sent something else, such as plain HTTP.
    NotTls,
    /// The client has no certificate, or none that is trusted.
    ClientCertificate,
    /// The client ended it, for example because it does not trust the server's certificate.
    RefusedByClient,
    /// The two have no version, cipher or protocol in common.
    Incompatible,
    /// The peer closed the connection.
    Closed,
    Other,
}

impl HandshakeFailure {
    const ALL: [Self; 6] = [
        Self::NotTls,
        Self::ClientCertificate,
        Self::RefusedByClient,
        Self::Incompatible,
        Self::Closed,
        Self::Other,
    ];

    fn labels(self) -> ReasonLabels {
        ReasonLabels {
            reason: match self {
                Self::NotTls => "not_tls",
                Self::ClientCertificate => "client_certificate",
                Self::RefusedByClient => "refused_by_client",
                Self::Incompatible => "incompatible",
                Self::Closed => "closed",
                Self::Other => "other",
            },
        }
    }
}

/// The labels that describe a model. Unknown ones are empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ModelDescription {
    /// The name that requests use.
    pub model: String,
    /// `discriminate`, `classify`, `tag` or `qa`.
    pub task: String,
    /// `fp32`, `fp16` or `int8`.
    pub precision: String,
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    model: String,
    code: u16,
}

impl RequestLabels {
    fn new(route: &str, model: &str, code: u16) -> Self {
        Self {
            route: route.to_owned(),
            model: model.to_owned(),
            code,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    model: String,
}

impl RouteLabels {
    fn new(route: &str, model: &str) -> Self {
        Self {
            route: route.to_owned(),
            model: model.to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    model: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabels {
    protocol: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DenyLabels {
    /// Empty if no valid key was sent.
    key: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectLabels {
    /// Empty if the request was refused before its model was known.
    model: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    model: String,
    version: String,
}

impl VersionLabels {
    fn new(model: &str, version: impl fmt::Display) -> Self {
        Self {
            model: model.to_owned(),
            version: version.to_string(),
        }
    }
}

/// Upper bounds of a histogram.
#[derive(Debug, Clone, Copy)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

trait LabelSet:
    EncodeLabelSet + Clone + Eq + std::hash::Hash + fmt::Debug + Send + Sync + 'static
{
}

impl<L> LabelSet for L where
    L: EncodeLabelSet + Clone + Eq + std::hash::Hash + fmt::Debug + Send + Sync + 'static
{
}

fn counter<L: LabelSet>(registry: &mut Registry, name: &str, help: &str) -> Family<L, Counter> {
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn gauge<L: LabelSet>(registry: &mut Registry, name: &str, help: &str) -> Family<L, Gauge> {
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn bytes(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
    gauge
}

fn histogram<L: LabelSet>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    buckets: &'static [f64],
) -> Family<L, Histogram, Buckets> {
    let family = Family::new_with_constructor(Buckets(buckets));
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, family.clone()),
        None => registry.register(name, help, family.clone()),
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metrics: &Metrics, lines: &[&str]) {
        let exposition = metrics.encode().expect("metrics encode");
        for line in lines {
            assert!(
                exposition.lines().any(|candidate| candidate == *line),
                "{line} is not in\n{exposition}"
            );
        }
    }

    #[test]
    fn a_model_shows_at_zero_before_its_first_request() {
        let metrics = Metrics::new("1.2.3");
        let _model = metrics.model("tagger");
        metrics.declare_route("/tag", "tagger");
        check(
            &metrics,
            &[
                "electra_build_info{version=\"1.2.3\"} 1",
                "# TYPE electra_requests counter",
                "electra_requests_total{route=\"/tag\",model=\"tagger\",code=\"200\"} 0",
                "# TYPE electra_request_duration_seconds histogram",
                "# UNIT electra_request_duration_seconds seconds",
                "electra_request_duration_seconds_count{route=\"/tag\",model=\"tagger\"} 0",
                "# TYPE electra_queue_depth gauge",
                "electra_queue_depth{model=\"tagger\"} 0",
                "electra_queue_wait_seconds_count{model=\"tagger\"} 0",
                "electra_batch_sequences_count{model=\"tagger\"} 0",
                "electra_batch_tokens_count{model=\"tagger\"} 0",
                "electra_inference_duration_seconds_count{model=\"tagger\"} 0",
                "electra_tokens_total{model=\"tagger\"} 0",
                "electra_sequences_dropped_total{model=\"tagger\",reason=\"expired\"} 0",
                "electra_sequences_dropped_total{model=\"tagger\",reason=\"cancelled\"} 0",
                "electra_queue_tokens{model=\"tagger\"} 0",
                "electra_requests_rejected_total{model=\"tagger\",reason=\"wait\"} 0",
                "electra_requests_rejected_total{model=\"tagger\",reason=\"deadline\"} 0",
                "electra_requests_rejected_total{model=\"tagger\",reason=\"capacity\"} 0",
                "# EOF",
            ],
        );
    }

    #[test]
    fn what_happens_is_counted() {
        let metrics = Metrics::new("1.2.3");
        let model = metrics.model("tagger");
        model.queue_depth_changed(0, 7);
        model.queue_wait(Duration::from_millis(2));
        model.batch_run(3, 40, Duration::from_micros(200));
        model.sequences_dropped(DropReason::Expired, 2);
        model.sequences_dropped(DropReason::Cancelled, 1);
        model.queue_tokens_changed(0, 90);
        model.request_rejected(RejectReason::Wait);
        model.request_rejected(RejectReason::Capacity);
        metrics.request_rejected(RejectReason::Wait);
        // Another handle with the same name counts into the same metrics.
        metrics
            .model("tagger")
            .batch_run(1, 2, Duration::from_secs(1));
        metrics.request_finished("/tag", "tagger", 504, Duration::from_millis(30));
        let description = |precision: &str| ModelDescription {
            model: "tagger".to_owned(),
            task: "tag".to_owned(),
            precision: precision.to_owned(),
            device: "cpu".to_owned(),
        };
        metrics.model_ready(&description("fp32"), true);
        metrics.forget_model(&description("fp32"));
        metrics.model_ready(&description("int8"), true);
        metrics.load_failed("tagger", 2, true);
        metrics.load_failed("tagger", 3, true);
        metrics.forget_load("tagger", 3);
        check(
            &metrics,
            &[
                "electra_requests_total{route=\"/tag\",model=\"tagger\",code=\"504\"} 1",
                "electra_request_duration_seconds_bucket{le=\"0.025\",route=\"/tag\",model=\"tagger\"} 0",
                "electra_request_duration_seconds_bucket{le=\"0.05\",route=\"/tag\",model=\"tagger\"} 1",
                "electra_queue_depth{model=\"tagger\"} 7",
                "electra_queue_wait_seconds_sum{model=\"tagger\"} 0.002",
                "electra_batch_sequences_bucket{le=\"4.0\",model=\"tagger\"} 2",
                "electra_batch_tokens_sum{model=\"tagger\"} 42.0",
                "electra_inference_duration_seconds_bucket{le=\"0.00025\",model=\"tagger\"} 1",
                "electra_inference_duration_seconds_count{model=\"tagger\"} 2",
                "electra_tokens_total{model=\"tagger\"} 42",
                "electra_sequences_dropped_total{model=\"tagger\",reason=\"expired\"} 2",
                "electra_sequences_dropped_total{model=\"tagger\",reason=\"cancelled\"} 1",
                "electra_queue_tokens{model=\"tagger\"} 90",
                "electra_requests_rejected_total{model=\"tagger\",reason=\"wait\"} 1",
                "electra_requests_rejected_total{model=\"tagger\",reason=\"deadline\"} 0",
                "electra_requests_rejected_total{model=\"tagger\",reason=\"capacity\"} 1",
                "electra_requests_rejected_total{model=\"\",reason=\"wait\"} 1",
                "electra_model_ready{model=\"tagger\",task=\"tag\",precision=\"int8\",device=\"cpu\"} 1",
                "electra_model_load_failed{model=\"tagger\",version=\"2\"} 1",
            ],
        );
        let open = metrics.open_connections("http");
        let (kept, _other) = (open.count(), open.count());
        drop(kept);
        metrics.connection_closed(CloseReason::Stalled);
        metrics.handshake_failed(HandshakeFailure::NotTls);
        check(
            &metrics,
            &[
                "electra_connections{protocol=\"http\"} 1",
                "electra_connections_closed_total{reason=\"stalled\"} 1",
                "electra_connections_closed_total{reason=\"idle\"} 0",
                "electra_tls_handshakes_failed_total{reason=\"not_tls\"} 1",
                "electra_tls_handshakes_failed_total{reason=\"closed\"} 0",
            ],
        );
        let exposition = metrics.encode().expect("metrics encode");
        for forgotten in ["precision=\"fp32\"", "version=\"3\""] {
            assert!(!exposition.contains(forgotten), "{exposition}");
        }
        metrics.model_ready(&description("int8"), false);
        check(
            &metrics,
            &[
                "electra_model_ready{model=\"tagger\",task=\"tag\",precision=\"int8\",device=\"cpu\"} 0",
            ],
        );
    }
}
