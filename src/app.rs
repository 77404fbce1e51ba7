//! Wires the parts and runs them: listens while models load, and answers accepted requests before it stops.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::access::{self, Door, Guard, KeyFile, KeyFileError};
use crate::batch::{Scheduler, SchedulerOptions};
use crate::browsers::BrowserPolicy;
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
use crate::stage::Stage;
use crate::task::Task;
use crate::telemetry::metrics::Metrics;
use crate::text::SharedTokenizers;
use crate::tls::Tls;

/// How long open connections may bring requests that are on their way when the server closes. HTTP/1 has no way to
/// refuse them, so their clients could not know whether they were answered. HTTP/2 says goodbye meanwhile.
const CLOSING: Duration = Duration::from_millis(100);

/// The time to end everything that waits for no answer, if the server is to end at once.
const ENDING: Duration = Duration::from_millis(250);

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no model to serve.
    #[error(transparent)]
    Models(#[from] ScanError),
    /// ONNX Runtime can't be loaded.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The file of keys can't be used.
    #[error("The file of keys `{}` can't be used: {reason}.", .file.display())]
    Keys { file: PathBuf, reason: KeyFileError },
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
    /// Requests were still unanswered when a second signal came.
    #[error("Stopped by a second signal with requests unanswered.")]
    Hurried,
}

/// The sockets that a server listens on.
#[derive(Debug)]
pub struct Listeners {
    pub http: TcpListener,
    /// `None` if gRPC is off.
    pub grpc: Option<TcpListener>,
    /// `None` if administration has no listener of its own.
    pub admin: Option<TcpListener>,
}

/// The parts of a server, wired but not running.
pub struct App {
    service: Service,
    guard: Guard,
    key_file: KeyFile,
    metrics: Metrics,
    scheduler: Arc<Scheduler>,
    manager: Mutex<Manager>,
    commands: Commands,
    timeouts: Timeouts,
    connections: Connections,
    inflight: InflightBytes,
    browsers: BrowserPolicy,
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
    let (guard, key_file) =
        access::guard(config.access.clone(), metrics.clone()).map_err(|reason| {
            StartError::Keys {
                file: config.access.key_file.clone().unwrap_or_default(),
                reason,
            }
        })?;
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
        guard,
        key_file,
        connections,
        metrics,
        scheduler,
        manager: Mutex::new(manager),
        commands,
        timeouts: config.timeouts,
        inflight: InflightBytes::new(config.max_inflight_bytes.get()),
        browsers: config.browsers.clone(),
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

    /// The same, with listeners that speak TLS alone. While the server runs, it loads the files again whenever they
    /// change.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.connections = self.connections.with_tls(tls);
        self
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
        signals: impl Stream<Item = ()> + Send,
    ) -> Result<(), RunError> {
        let running = Running {
            service: self.service,
            guard: self.guard,
            key_file: self.key_file,
            metrics: self.metrics,
            timeouts: self.timeouts,
            connections: self.connections,
            inflight: self.inflight,
            browsers: self.browsers,
            scheduler: self.scheduler,
        };
        let no_failure = std::future::pending();
        running.serve(listeners, signals, no_failure).await
    }

    /// Serves on the listeners until the first signal. Loads models meanwhile, and reloads those that change later.
    /// Then stops in the stages of [`Stage`]: answers accepted requests, until the drain timeout at most. A second
    /// signal ends it at once.
    ///
    /// # Errors
    /// If a server task or the configured device fails, or if it ends with requests unanswered.
    pub async fn run(
        self,
        listeners: Listeners,
        signals: impl Stream<Item = ()> + Send,
    ) -> Result<(), RunError> {
        let Self {
            service,
            guard,
            key_file,
            metrics,
            scheduler,
            manager,
            commands,
            timeouts,
            connections,
            inflight,
            browsers,
            watch_interval,
        } = self;
        let stage = service.stage();
        let is_stopping = move || *stage.borrow() > Stage::Serving;
        let manager = manager.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failed = manager.start(commands, watch_interval, is_stopping)?;
        let running = Running {
            service,
            guard,
            key_file,
            metrics,
            timeouts,
            connections,
            inflight,
            browsers,
            scheduler,
        };
        running.serve(listeners, signals, failure(failed)).await
    }
}

/// The parts that a server keeps while it runs.
struct Running {
    service: Service,
    guard: Guard,
    key_file: KeyFile,
    metrics: Metrics,
    timeouts: Timeouts,
    connections: Connections,
    inflight: InflightBytes,
    browsers: BrowserPolicy,
    scheduler: Arc<Scheduler>,
}

impl Running {
    /// Serves until the first signal or `failure`, then answers accepted requests.
    async fn serve(
        self,
        listeners: Listeners,
        signals: impl Stream<Item = ()> + Send,
        failure: impl Future<Output = RunError>,
    ) -> Result<(), RunError> {
        warn_of_strangers(&listeners, &self.guard);
        let follow_keys = self.key_file.clone().follow(self.guard.clone());
        let _following = AbortOnDropHandle::new(tokio::spawn(follow_keys));
        let watching = self.connections.tls().cloned();
        let _watching = watching.map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.watch())));
        let mut signals = pin!(signals);
        let mut servers = self.start(listeners);
        let outcome = tokio::select! {
            () = signal(signals.as_mut()) => Ok(()),
            failed = failure => Err(failed),
            Some(ended) = servers.join_next() => {
                return ended.map_err(|error| io::Error::other(error).into());
            }
        };
        let ended = tokio::select! {
            ended = self.stop(&mut servers, outcome.is_ok()) => ended,
            () = signal(signals) => Err(RunError::Hurried),
        };
        let ended = match ended {
            Err(RunError::Hurried | RunError::DrainTimeout(_)) => {
                // Ends what waits for no answer. What is left then is unanswered.
                self.service.enter(Stage::Draining);
                match timeout(ENDING, joined(&mut servers)).await {
                    Ok(joined) => joined.map_err(RunError::from),
                    Err(_) => ended,
                }
            }
            ended => ended,
        };
        if ended.is_ok() {
            tracing::info!("stopped");
        }
        outcome.and(ended)
    }

    /// Goes through the stages of the stop. Returns once everything is answered.
    async fn stop(&self, servers: &mut JoinSet<()>, may_delay: bool) -> Result<(), RunError> {
        self.service.enter(Stage::Leaving);
        let delay = self.timeouts.shutdown_delay;
        // A server that has never been ready has no clients that would have to leave.
        if may_delay && !delay.is_zero() && self.service.registry().is_settled() {
            let delay_ms = delay.as_millis();
            tracing::info!(delay_ms, "stopping: not ready, still taking requests");
            sleep(delay).await;
        }
        tracing::info!("stopping: answering accepted requests");
        let patience = self.timeouts.drain;
        let deadline = Instant::now() + patience;
        let drained = timeout_at(deadline, async {
            self.service.enter(Stage::Closing);
            // Ends early if no connection is open.
            let closed = timeout(CLOSING.min(patience / 2), joined(servers)).await;
            self.service.enter(Stage::Draining);
            match closed {
                Ok(joined) => joined,
                Err(_) => joined(servers).await,
            }
        });
        match drained.await {
            Ok(joined) => joined?,
            Err(_) => return Err(RunError::DrainTimeout(patience)),
        }
        // Work that nobody waits for may still run. A model that is still loading is not waited for.
        let _ = timeout_at(deadline, self.scheduler.drained()).await;
        Ok(())
    }

    /// Starts a task per listener.
    fn start(&self, listeners: Listeners) -> JoinSet<()> {
        let mut servers = JoinSet::new();
        let http = HttpState::new(
            self.service.clone(),
            self.guard.clone(),
            self.metrics.clone(),
            self.timeouts,
            self.inflight.clone(),
        )
        .with_browsers(self.browsers.clone());
        let stage = || self.service.stage();
        let connections = || self.connections.clone();
        let serve =
            |listener, door| http::serve(listener, connections(), http.clone(), door, stage());
        servers.spawn(serve(listeners.http, Door::Public));
        if let Some(listener) = listeners.admin {
            servers.spawn(serve(listener, Door::Admin));
        }
        if let Some(listener) = listeners.grpc {
            let grpc = GrpcState {
                service: self.service.clone(),
                guard: self.guard.clone(),
                metrics: self.metrics.clone(),
                timeouts: self.timeouts,
                inflight: self.inflight.clone(),
                allowed_hosts: self.browsers.allowed_hosts.clone(),
            };
            servers.spawn(grpc::serve(listener, connections(), grpc, stage()));
        }
        servers
    }
}

/// Says once if others than this machine can reach the server, and need no key.
fn warn_of_strangers(listeners: &Listeners, guard: &Guard) {
    if guard.has_keys() {
        return;
    }
    let Listeners { http, grpc, admin } = listeners;
    let all = [Some(http), grpc.as_ref(), admin.as_ref()];
    let addresses = all
        .into_iter()
        .flatten()
        .filter_map(|it| it.local_addr().ok());
    let open: Vec<String> = addresses
        .filter(|address| !address.ip().is_loopback())
        .map(|address| address.to_string())
        .collect();
    if !open.is_empty() {
        let addresses = open.join(", ");
        tracing::warn!(
            %addresses,
            "listening beyond this machine without keys: whoever reaches the server may use it. Set api_keys, \
             or listen on 127.0.0.1"
        );
    }
}

/// Completes at the next signal.
async fn signal(mut signals: Pin<&mut impl Stream<Item = ()>>) {
    if signals.next().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Returns once all servers have ended. May be dropped and called again.
async fn joined(servers: &mut JoinSet<()>) -> io::Result<()> {
    while let Some(ended) = servers.join_next().await {
        ended.map_err(io::Error::other)?;
    }
    Ok(())
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
