//! `electra serve`.

use clap::Args;
use futures_util::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::runtime;

use super::configuration::configuration;
use super::error::CliError;
use super::pull;
use super::settings::{AllSettings, Settings};
use crate::app::{self, Listeners};
use crate::config::Config;
use crate::convert::ExportOptions;
use crate::convert::{PullRequest, ensure_pulled};
use crate::panics;
use crate::telemetry::tracing;
use crate::tls::Tls;

#[derive(Debug, Args)]
pub struct ServeArguments {
    #[command(flatten)]
    settings: Settings<AllSettings>,
}

/// Serves until SIGTERM or an interrupt, then answers accepted requests. A second one ends it at once.
///
/// # Errors
/// If the server did not start, or ended early.
pub fn run(arguments: &ServeArguments) -> Result<(), CliError> {
    let config = configuration(&arguments.settings.arguments)?;
    tracing::init(&config.log)?;
    panics::log_places();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(config.workers.get())
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    let outcome = runtime.block_on(serve(&config));
    // Does not wait for a model that is still loading.
    runtime.shutdown_background();
    outcome
}

async fn serve(config: &Config) -> Result<(), CliError> {
    // Installed first, so that a signal during the start is not lost.
    let mut signals = stop_signals().map_err(CliError::failed)?;
    let files = config.tls.clone();
    let tls = tokio::task::spawn_blocking(move || files.as_ref().map(Tls::load).transpose());
    let tls = tls.await.map_err(CliError::failed)?;
    let tls = tls.map_err(CliError::failed)?;
    let models = config.clone();
    tokio::select! {
        pulled = tokio::task::spawn_blocking(move || pull_all(&models)) => {
            pulled.map_err(CliError::failed)??;
        }
        // A partial download is kept, and the next start resumes it.
        Some(()) = signals.next() => return Ok(()),
    }
    // Reading the repository may take long too, such as on a network share.
    let to_build = config.clone();
    let app = tokio::select! {
        built = tokio::task::spawn_blocking(move || app::build(&to_build)) => {
            built.map_err(CliError::failed)?.map_err(CliError::failed)?
        }
        Some(()) = signals.next() => return Ok(()),
    };
    let app = match tls {
        Some(tls) => app.with_tls(tls),
        None => app,
    };
    let listeners = listen(config).await?;
    app.run(listeners, signals).await.map_err(CliError::failed)
}

/// Binds all ports or none.
async fn listen(config: &Config) -> Result<Listeners, CliError> {
    let http = bind(&config.http, "http").await?;
    let grpc = bind_if(config.grpc.as_deref(), "grpc").await?;
    let admin = bind_if(config.admin_http.as_deref(), "admin_http").await?;
    let scheme = config.tls.as_ref().map_or("", |_| "https://");
    if let Ok(address) = http.local_addr() {
        let address = format_args!("{scheme}{address}");
        ::tracing::info!(%address, workers = config.workers, "listening for HTTP");
    }
    if let Some(Ok(address)) = grpc.as_ref().map(TcpListener::local_addr) {
        let address = format_args!("{scheme}{address}");
        ::tracing::info!(%address, "listening for gRPC");
    }
    if let Some(Ok(address)) = admin.as_ref().map(TcpListener::local_addr) {
        let address = format_args!("{scheme}{address}");
        ::tracing::info!(%address, "listening for administration");
    }
    Ok(Listeners { http, grpc, admin })
}

async fn bind_if(address: Option<&str>, key: &str) -> Result<Option<TcpListener>, CliError> {
    match address {
        Some(address) => bind(address, key).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(address: &str, key: &str) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| {
        let (flag, variable) = (key.replace('_', "-"), key.to_uppercase());
        CliError::Failed(format!(
            "Can't listen on {address}: {error}. Set another address with --{flag}, ELECTRA_{variable} or the key {key}."
        ))
    })
}

/// Adds the configured models that the repository lacks.
fn pull_all(config: &Config) -> Result<(), CliError> {
    for origin in &config.model {
        let request = PullRequest {
            origin: origin.clone(),
            models: config.models.clone(),
            name: None,
            force: false,
            export: ExportOptions {
                precision: config.precision,
                device: config.device,
                onnxruntime_library: config.onnxruntime_library.clone(),
                ..ExportOptions::default()
            },
        };
        let pulled = ensure_pulled(&request, &pull::hub, &pull::Progress::default())
            .map_err(CliError::failed)?;
        if pulled.report.is_some() {
            ::tracing::info!(model = %origin, folder = %pulled.folder.display(), "pulled");
        }
    }
    Ok(())
}

/// Each SIGTERM and SIGINT.
#[cfg(unix)]
fn stop_signals() -> std::io::Result<impl Stream<Item = ()> + Send + Unpin> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(futures_util::stream::poll_fn(move |context| {
        let received = terminate.poll_recv(context);
        if received.is_ready() {
            return received;
        }
        interrupt.poll_recv(context)
    }))
}

/// Each interrupt.
#[cfg(not(unix))]
fn stop_signals() -> std::io::Result<impl Stream<Item = ()> + Send + Unpin> {
    let interrupts = futures_util::stream::unfold((), |()| async {
        tokio::signal::ctrl_c().await.ok().map(|()| ((), ()))
    });
    Ok(Box::pin(interrupts))
}
