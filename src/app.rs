//! Wires the parts and runs them: listens while models load, and answers accepted requests before it stops.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::batch::{Scheduler, SchedulerOptions};
use crate::config::Config;
use crate::connections::Connections;
use crate::engine::{Runtime, RuntimeError};
use crate::executor::Executor;
use crate::grpc::{self, GrpcState};
use crate::http::{self, HttpState};
use crate::inflight::InflightBytes;
use crate::limits::Timeouts;
use crate::loading::{DeviceFailure, Loader, Manager};
use crate::model_folder::{ScanError, scan};
use crate::registry::{Commands, Control, Registry};
use crate::service::Service;
use crate::task::Task;
use crate::telemetry::metrics::Metrics;
use crate::text::SharedTokenizers;

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no model to serve.
    #[error(transparent)]
    Models(#[from] ScanError),
    /// ONNX Runtime can't be loaded.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The operating system can't start more threads.
    #[error(
        "The threads that run models can't be started: {0}. Allow more threads, or set fewer --workers."
    )]
    Threads(io::Error),
}

/// Why a running server ended unexpectedly.
#[derive(Debug, Error)]
pub enum RunError {
    /// The device that the configuration names does not work. There is no silent fallback.
    #[error(transparent)]
    Device(#[from] DeviceFailure),
    /// A server task or one of its threads failed.
    #[error("The server failed: {0}")]
    Server(#[from] io::Error),
    /// Requests were still unanswered when the drain timeout ended.
    #[error("Stopped with requests unanswered after {} ms. Raise --drain-timeout-ms to wait longer.", .0.as_millis())]
    DrainTimeout(Duration),
}

/// The sockets that a server listens on.
#[derive(Debug)]
pub struct Listeners {
    pub http: TcpListener,
    /// `None` if gRPC is off.
    pub grpc: Option<TcpListener>,
}

/// The parts of a server, wired but not running.
pub struct App {
    service: Service,
    metrics: Metrics,
    scheduler: Arc<Scheduler>,
    manager: Mutex<Manager>,
    commands: Commands,
    timeouts: Timeouts,
    connections: Connections,
    inflight: InflightBytes,
    watch_interval: Option<Duration>,
}

/// Finds the models and ONNX Runtime, and starts the workers. Call it within a tokio runtime.
///
/// # Errors
/// If there is no model, ONNX Runtime can't be loaded, or the workers can't be started.
pub fn build(config: &Config) -> Result<App, StartError> {
    let registry = Arc::new(Registry::new(&scan(&config.models)?));
    let runtime = Runtime::load(config.onnxruntime_library.as_deref())?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let workers = within_cores(config.workers);
    let options = SchedulerOptions {
        workers,
        queue_capacity: config.queue_capacity,
        longest_wait: config.max_queue,
    };
    let scheduler = Scheduler::start(options, metrics.clone()).map_err(StartError::Threads)?;
    let scheduler = Arc::new(scheduler);
    let gate = scheduler.gate();
    let loader = Loader {
        runtime,
        device: config.device,
        workers,
        tokenizers: SharedTokenizers::default(),
        batch_tokens: config.batch_tokens,
        precision: config.precision,
        limits: config.limits,
        scheduler: Arc::clone(&scheduler),
    };
    let manager = Manager::new(
        config.models.clone(),
        Arc::clone(&registry),
        Arc::new(loader),
        config.load_timeout,
        metrics.clone(),
        task_routes(config.grpc.is_some()),
    );
    let (control, commands) = Control::new();
    let service = Service::new(
        registry,
        control,
        config.limits,
        Executor::new(workers.get()),
        gate,
        config.priorities,
    );
    let connections = Connections::new(config.connections.clone(), metrics.clone());
    Ok(App {
        service,
        connections,
        metrics,
        scheduler,
        manager: Mutex::new(manager),
        commands,
        timeouts: config.timeouts,
        inflight: InflightBytes::new(config.max_inflight_bytes.get()),
        watch_interval: config.watch_interval,
    })
}

/// The routes of each task, including gRPC's if it is on.
fn task_routes(grpc: bool) -> Vec<(Task, String)> {
    let of_task = |task: Task| {
        let over_grpc = grpc.then(|| grpc::task_routes(task)).into_iter().flatten();
        let routes = http::task_routes(task).chain(over_grpc);
        routes.map(move |route| (task, route))
    };
    Task::ALL.into_iter().flat_map(of_task).collect()
}

/// Each worker computes on a core of its own. If there were more workers than cores (by affinity and cgroup), they
/// would only take turns.
pub(crate) fn within_cores(workers: NonZeroUsize) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    if workers > cores {
        tracing::warn!(
            workers,
            cores,
            "more workers than cores: using one per core"
        );
    }
    workers.min(cores)
}

impl App {
    /// The operations, for commands that need no server.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Loads the models for which `wanted` returns true. Blocks. One that fails does not stop the others.
    ///
    /// # Errors
    /// Only if the device that the configuration names does not work.
    pub fn load(&self, wanted: impl FnMut(&str) -> bool) -> Result<(), DeviceFailure> {
        let mut manager = self.manager.lock().unwrap_or_else(PoisonError::into_inner);
        manager.load_all(wanted)
    }

    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Serves the models that [`Self::load`] has loaded, and ends as [`Self::run`] does.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub async fn serve_loaded(
        self,
        listeners: Listeners,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let running = Running {
            service: self.service,
            metrics: self.metrics,
            timeouts: self.timeouts,
            connections: self.connections,
            inflight: self.inflight,
            scheduler: self.scheduler,
            stop: watch::Sender::new(false),
        };
        let no_failure = std::future::pending();
        running.serve(listeners, shutdown, no_failure).await
    }

    /// Serves on the listeners until `shutdown` completes. Loads models meanwhile, and reloads those that change later.
    /// Then answers accepted requests, until the drain timeout at most.
    ///
    /// # Errors
    /// If a server task or the configured device fails, or if the drain timeout ends with requests unanswered.
    pub async fn run(
        self,
        listeners: Listeners,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let Self {
            service,
            metrics,
            scheduler,
            manager,
            commands,
            timeouts,
            connections,
            inflight,
            watch_interval,
        } = self;
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        let manager = manager.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failed = manager.start(commands, watch_interval, move || *stopped.borrow())?;
        let running = Running {
            service,
            metrics,
            timeouts,
            connections,
            inflight,
            scheduler,
            stop,
        };
        running.serve(listeners, shutdown, failure(failed)).await
    }
}

/// The parts that a server keeps while it runs.
struct Running {
    service: Service,
    metrics: Metrics,
    timeouts: Timeouts,
    connections: Connections,
    inflight: InflightBytes,
    scheduler: Arc<Scheduler>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Serves until `shutdown` or `failure` completes, then answers accepted requests.
    async fn serve(
        self,
        listeners: Listeners,
        shutdown: impl Future<Output = ()> + Send,
        failure: impl Future<Output = RunError>,
    ) -> Result<(), RunError> {
        let patience = self.timeouts.drain;
        let mut servers = self.start(listeners);
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            failed = failure => Err(failed),
            Some(ended) = servers.join_next() => {
                return ended.map_err(|error| io::Error::other(error).into());
            }
        };
        tracing::info!("stopping: answering accepted requests");
        self.service.start_draining();
        let _ = self.stop.send(true);
        let drain = async {
            let mut finished = Ok(());
            while let Some(ended) = servers.join_next().await {
                finished = finished.and(ended.map_err(io::Error::other));
            }
            // Does not wait for a model that is still loading.
            self.scheduler.drained().await;
            finished
        };
        let Ok(finished) = timeout(patience, drain).await else {
            servers.abort_all();
            return outcome.and(Err(RunError::DrainTimeout(patience)));
        };
        finished?;
        tracing::info!("stopped");
        outcome
    }

    /// Starts a task per listener.
    fn start(&self, listeners: Listeners) -> JoinSet<()> {
        let mut servers = JoinSet::new();
        let http = HttpState::new(
            self.service.clone(),
            self.metrics.clone(),
            self.timeouts,
            self.inflight.clone(),
        );
        let stopped = || until_true(self.stop.subscribe());
        let connections = || self.connections.clone();
        servers.spawn(http::serve(listeners.http, connections(), http, stopped()));
        if let Some(listener) = listeners.grpc {
            let grpc = GrpcState {
                service: self.service.clone(),
                metrics: self.metrics.clone(),
                timeouts: self.timeouts,
                inflight: self.inflight.clone(),
            };
            servers.spawn(grpc::serve(listener, connections(), grpc, stopped()));
        }
        servers
    }
}

async fn until_true(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it everyone who would wait for an answer.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Completes only if loading failed in a way that stops the server.
async fn failure(failed: oneshot::Receiver<DeviceFailure>) -> RunError {
    match failed.await {
        Ok(failure) => failure.into(),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
