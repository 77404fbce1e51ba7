//! `electra pull`: makes a model in the repository from a checkpoint on the hub.

use std::cell::RefCell;
use std::io::{IsTerminal, stderr};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::configuration::configuration;
use super::error::CliError;
use super::export::{self, OptionArguments};
use super::settings::{RepositorySettings, Settings};
use crate::convert::{PullRequest, Pulled, pull};
use crate::hub::{Hub, HubError, HubSettings, Observer, Origin};
use crate::telemetry::tracing;

#[derive(Debug, Args)]
#[command(after_long_help = ENVIRONMENT)]
pub struct PullArguments {
    /// The model on the hub, such as google/electra-base-discriminator, optionally with a branch, tag or commit after
    /// an @ [default: main]; or a checkpoint's folder
    #[arg(value_name = "NAME[@REVISION]")]
    origin: Origin,
    /// The model's name in the repository; by default its name on the hub without the organisation
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Replace a model of that name that came from elsewhere, and export again even if nothing changed
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    options: OptionArguments,
    #[command(flatten)]
    settings: Settings<RepositorySettings>,
}

const ENVIRONMENT: &str = "\
Files are stored in the cache that Python's huggingface_hub uses, and are not downloaded twice. Interrupted downloads \
resume, and every file's size and checksum are verified.

Environment:
  HF_TOKEN         A token, for private and gated models [default: that of `hf auth login`]
  HF_ENDPOINT      Another hub, such as a mirror [default: https://huggingface.co]
  HF_HOME          The folder of the cache and the token [default: ~/.cache/huggingface]
  HF_HUB_CACHE     The folder of the cache alone [default: HF_HOME/hub]
  HF_HUB_OFFLINE   1: use cached files only, without contacting the hub
  HTTPS_PROXY      A proxy; NO_PROXY lists hosts that bypass it
  SSL_CERT_FILE    Certificates to trust, in PEM format, in place of Mozilla's";

/// Pulls a model, and prints a summary on standard output.
///
/// # Errors
/// If the model can't be downloaded, exported, or written to the repository.
pub fn run(arguments: &PullArguments) -> Result<(), CliError> {
    let config = configuration(&arguments.settings.arguments)?;
    tracing::init(&config.log)?;
    let request = PullRequest {
        origin: arguments.origin.clone(),
        models: config.models,
        name: arguments.name.clone(),
        force: arguments.force,
        export: arguments.options.options(config.onnxruntime_library),
    };
    let pulled = pull(&request, &hub, &Progress::default()).map_err(CliError::failed)?;
    match &pulled.report {
        Some(report) => export::print(&pulled.folder, report),
        None => println!("{}", unchanged(&pulled)),
    }
    Ok(())
}

/// The hub as configured by the environment.
pub(super) fn hub() -> Result<Hub, HubError> {
    Hub::new(HubSettings::from_environment(|name| {
        std::env::var(name).ok()
    })?)
}

fn unchanged(pulled: &Pulled) -> String {
    let folder = pulled.folder.display();
    match &pulled.source {
        Some(source) => format!(
            "{folder} is {} already (precision {}); there is nothing to do.",
            source.checkpoint, source.precision
        ),
        None => format!("{folder} is there already."),
    }
}

/// Shows the progress of downloads: a bar on a terminal, otherwise one log line per file.
#[derive(Default)]
pub(super) struct Progress {
    bar: RefCell<Option<ProgressBar>>,
}

impl Observer for Progress {
    fn started(&self, file: &str, bytes: Option<u64>, received: u64) {
        // Draws on standard error, and only if that is a terminal.
        let bar = bytes.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = "{msg:24} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        let style = ProgressStyle::with_template(template);
        let bar = bar
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(file.to_owned())
            .with_position(received);
        // Resumed bytes must not count in the rate.
        bar.reset_eta();
        if received > 0 {
            ::tracing::info!(file, bytes, received, "resuming an interrupted download");
        }
        self.bar.replace(Some(bar));
    }

    fn received(&self, _: &str, bytes: u64) {
        if let Some(bar) = self.bar.borrow().as_ref() {
            bar.inc(bytes);
        }
    }

    fn restarted(&self, _: &str) {
        if let Some(bar) = self.bar.borrow().as_ref() {
            bar.reset();
        }
    }

    fn finished(&self, file: &str) {
        let bar = self.bar.take();
        let bytes = bar.as_ref().map(ProgressBar::position);
        if let Some(bar) = bar {
            bar.finish();
        }
        if !stderr().is_terminal() {
            ::tracing::info!(file, bytes, "downloaded");
        }
    }
}
