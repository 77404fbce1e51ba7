//! The server that a measurement starts itself: with the given settings, the required models, and free local ports.

use std::net::SocketAddr;

use futures_util::stream;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::BenchError;
use super::subject::Subject;
use crate::app::{self, App, Listeners, RunError};
use crate::config::Config;
use crate::registry::ModelState;
use crate::telemetry::metrics::Metrics;

/// Builds a server and loads the models, on a runtime with as many threads as a server has.
///
/// # Errors
/// If the server can't start, or a model can't be loaded.
pub fn build(config: &Config, subjects: &[Subject]) -> Result<(Runtime, App), BenchError> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(config.workers.get())
        .enable_all()
        .build()?;
    let app = {
        let _context = runtime.enter();
        app::build(&config.clone().unguarded())?
    };
    let wanted = |name: &str| subjects.iter().any(|subject| subject.name == name);
    app.load(wanted).map_err(RunError::from)?;
    for subject in subjects {
        let state = app.service().registry().state(&subject.name);
        if let Some(ModelState::Failed { reason }) = state {
            let name = subject.name.clone();
            return Err(BenchError::Model { name, reason });
        }
    }
    Ok((runtime, app))
}

/// A server on threads of its own. Dropping it stops it at once.
pub struct OwnServer {
    /// Its HTTP address.
    pub http: SocketAddr,
    /// Its gRPC address.
    pub grpc: SocketAddr,
    pub metrics: Metrics,
    /// Whether the models run on the CPU.
    pub on_cpu: bool,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), RunError>>,
}

impl OwnServer {
    /// Starts a server with its models loaded.
    ///
    /// # Errors
    /// As [`build`].
    pub fn start(config: &Config, subjects: &[Subject]) -> Result<Self, BenchError> {
        let (runtime, app) = build(config, subjects)?;
        let metrics = app.metrics().clone();
        let on_cpu = on_cpu(&app, subjects);
        let listen = || runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let (http_listener, grpc_listener) = (listen()?, listen()?);
        let (http, grpc) = (http_listener.local_addr()?, grpc_listener.local_addr()?);
        let listeners = Listeners {
            http: http_listener,
            grpc: Some(grpc_listener),
            admin: None,
        };
        let (stop, stopped) = oneshot::channel();
        let signal = stream::once(async {
            let _ = stopped.await;
        });
        let running = runtime.spawn(app.serve_loaded(listeners, signal));
        Ok(Self {
            http,
            grpc,
            metrics,
            on_cpu,
            runtime,
            stop,
            running,
        })
    }

    /// Stops the server, and waits until its threads have ended.
    ///
    /// # Errors
    /// If the server failed.
    pub fn stop(self) -> Result<(), BenchError> {
        let _ = self.stop.send(());
        let ended = self.runtime.block_on(self.running);
        ended.map_err(std::io::Error::other)??;
        Ok(())
    }
}

/// A runtime for clients, with one thread, which leaves the other cores to the server.
///
/// # Errors
/// If the operating system can't create it.
pub fn client_runtime() -> Result<Runtime, BenchError> {
    Ok(runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// Whether the models run on the CPU, whose limit can be measured.
pub fn on_cpu(app: &App, subjects: &[Subject]) -> bool {
    subjects.iter().all(|subject| {
        let state = app.service().registry().state(&subject.name);
        matches!(state, Some(ModelState::Ready(model)) if !model.info.device.is_gpu())
    })
}
