//! Puts the parts together and runs them: listens while models load, and answers what it accepted before it stops.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::batch::{Scheduler, SchedulerOptions};
use crate::config::{Config, Timeouts};
use crate::engine::{Device, Runtime, RuntimeError};
use crate::http::{self, HttpState};
use crate::repository::{
    LoadError, LoadedModel, Loader, ModelFolder, ModelState, Repository, ScanError,
};
use crate::service::Service;
use crate::task::Task;
use crate::telemetry::metrics::{Metrics, ModelDescription};
use crate::text::SharedTokenizers;

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is nothing to serve.
    #[error(transparent)]
    Models(#[from] ScanError),
    /// ONNX Runtime can't be loaded.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Why a running server ended other than as asked.
#[derive(Debug, Error)]
pub enum RunError {
    /// The device that was asked for by name does not work; there is no silent fall-back.
    #[error("{source}")]
    Device {
        /// As asked for.
        device: Device,
        /// Why.
        source: LoadError,
    },
    /// The listening socket failed.
    #[error("The HTTP listener failed: {0}")]
    Listener(#[from] io::Error),
    /// Requests were still unanswered when the time for them was over.
    #[error("Stopped with requests unanswered after {} ms. Allow more by --drain-timeout-ms.", .0.as_millis())]
    DrainTimeout(Duration),
}

/// The parts of a server, wired but not running.
pub struct App {
    service: Service,
    metrics: Metrics,
    scheduler: Arc<Scheduler>,
    loader: Loader,
    timeouts: Timeouts,
}

/// Finds the models and ONNX Runtime, and starts the workers. Call it within a tokio runtime.
///
/// # Errors
/// Where there is nothing to serve, or nothing to serve it with.
pub fn build(config: &Config) -> Result<App, StartError> {
    let repository = Repository::scan(&config.models)?;
    let runtime = Runtime::load(config.onnxruntime_library.as_deref())?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let workers = within_cores(config.workers);
    let options = SchedulerOptions {
        workers,
        queue_capacity: config.queue_capacity,
    };
    let scheduler = Arc::new(Scheduler::start(options, metrics.clone()));
    let loader = Loader {
        runtime,
        device: config.device,
        workers,
        tokenizers: SharedTokenizers::default(),
        batch_tokens: config.batch_tokens,
        scheduler: Arc::clone(&scheduler),
    };
    let service = Service::new(repository, config.limits, workers.get());
    Ok(App {
        service,
        metrics,
        scheduler,
        loader,
        timeouts: config.timeouts,
    })
}

/// Each worker computes on a core of its own: more of them than the process may use, by affinity and cgroup, would only
/// take turns.
pub(crate) fn within_cores(workers: NonZeroUsize) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    if workers > cores {
        tracing::warn!(
            workers,
            cores,
            "more workers than this process has cores: using one a core"
        );
    }
    workers.min(cores)
}

impl App {
    /// The operations, as commands that need no server use them.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Loads the models that `wanted` says; blocks. A model that can't be loaded does not stop the others.
    ///
    /// # Errors
    /// Only where the device that was asked for by name does not work.
    pub fn load(&self, wanted: impl Fn(&str) -> bool) -> Result<(), RunError> {
        let loading = Loading {
            service: self.service.clone(),
            metrics: self.metrics.clone(),
            loader: self.loader.clone(),
        };
        loading.load_all(wanted)
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Serves what [`Self::load`] has loaded, and ends as [`Self::run`] does.
    ///
    /// # Errors
    /// Where the server ended other than as asked.
    pub async fn serve_loaded(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let state = HttpState {
            service: self.service,
            metrics: self.metrics,
            timeouts: self.timeouts,
        };
        // The loader holds the scheduler too, and nothing loads any more.
        drop(self.loader);
        let no_failure = std::future::pending();
        serve_and_drain(state, self.scheduler, listener, shutdown, no_failure).await
    }

    /// Serves on a listening socket until `shutdown` is done, loading the models meanwhile; then answers what it
    /// accepted, for as long as the drain timeout allows.
    ///
    /// # Errors
    /// Where the server ended other than as asked.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let Self {
            service,
            metrics,
            scheduler,
            loader,
            timeouts,
        } = self;
        let state = HttpState {
            service: service.clone(),
            metrics: metrics.clone(),
            timeouts,
        };
        let load = Loading {
            service,
            metrics,
            loader,
        }
        .start();
        serve_and_drain(state, scheduler, listener, shutdown, failure(load)).await
    }
}

/// Serves until `shutdown` or `failure` is done, then answers what was accepted.
async fn serve_and_drain(
    state: HttpState,
    scheduler: Arc<Scheduler>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
    failure: impl Future<Output = RunError>,
) -> Result<(), RunError> {
    let (service, patience) = (state.service.clone(), state.timeouts.drain);
    let (stop, stopped) = watch::channel(false);
    let mut server = tokio::spawn(http::serve(listener, state, until_true(stopped)));
    let outcome = tokio::select! {
        () = shutdown => Ok(()),
        failed = failure => Err(failed),
        ended = &mut server => return ended.map_err(|error| io::Error::other(error).into()),
    };
    tracing::info!("stopping: answering what was accepted");
    service.start_draining();
    let _ = stop.send(true);
    let drain = async {
        let finished = (&mut server).await.map_err(io::Error::other);
        // Only a model that is still loading holds the scheduler too; nothing waits for that one.
        match Arc::try_unwrap(scheduler) {
            Ok(scheduler) => scheduler.drained().await,
            Err(shared) => shared.close(),
        }
        finished
    };
    let Ok(finished) = timeout(patience, drain).await else {
        server.abort();
        return outcome.and(Err(RunError::DrainTimeout(patience)));
    };
    finished?;
    tracing::info!("stopped");
    outcome
}

async fn until_true(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it who would wait for an answer.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Is done only if loading failed in a way that stops the server.
async fn failure(load: JoinHandle<Result<(), RunError>>) -> RunError {
    match load.await {
        Ok(Err(error)) => return error,
        Ok(Ok(())) => {}
        Err(error) => tracing::error!(%error, "loading models ended early"),
    }
    std::future::pending().await
}

/// What loading models takes.
struct Loading {
    service: Service,
    metrics: Metrics,
    loader: Loader,
}

impl Loading {
    /// Loads all models on a blocking thread.
    fn start(self) -> JoinHandle<Result<(), RunError>> {
        tokio::task::spawn_blocking(move || self.load_all(|_| true))
    }

    fn load_all(&self, wanted: impl Fn(&str) -> bool) -> Result<(), RunError> {
        for folder in self
            .service
            .repository()
            .folders()
            .filter(|folder| wanted(&folder.name))
        {
            if self.service.is_draining() {
                break;
            }
            self.load(folder)?;
        }
        for task in Task::ALL {
            if let Some(model) = self.service.model_name(task, None) {
                tracing::info!(%task, model, "default model");
            }
        }
        Ok(())
    }

    fn load(&self, folder: &ModelFolder) -> Result<(), RunError> {
        let started = std::time::Instant::now();
        let repository = self.service.repository();
        match self.loader.load(folder) {
            Ok(model) => {
                let milliseconds = started.elapsed().as_millis();
                let (task, device, precision) =
                    (model.info.task, model.info.device, model.info.precision);
                tracing::info!(model = folder.name, %task, %device, %precision, milliseconds, "model ready");
                self.announce(&model);
                repository.set_state(&folder.name, ModelState::Ready(Arc::new(model)));
            }
            Err(source) if source.is_device() && self.loader.device != Device::Auto => {
                return Err(RunError::Device {
                    device: self.loader.device,
                    source,
                });
            }
            Err(error) => {
                tracing::error!(model = folder.name, %error, "the model could not be loaded");
                let task = repository.task(&folder.name).map_or("", Task::name);
                let failed = ModelDescription {
                    name: &folder.name,
                    task,
                    precision: "",
                    device: "",
                };
                self.metrics.model_ready(&failed, false);
                repository.set_state(
                    &folder.name,
                    ModelState::Failed {
                        reason: error.to_string(),
                    },
                );
            }
        }
        Ok(())
    }

    /// Makes the model's metrics exist before its first request.
    fn announce(&self, model: &LoadedModel) {
        let info = &model.info;
        let (precision, device) = (info.precision.to_string(), info.device.to_string());
        let ready = ModelDescription {
            name: &info.name,
            task: info.task.name(),
            precision: &precision,
            device: &device,
        };
        self.metrics.model_ready(&ready, true);
        self.metrics
            .declare_route(&format!("/{}", info.task), &info.name);
    }
}

#[cfg(test)]
#[path = "app_tests.rs"]
mod tests;
