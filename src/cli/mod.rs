//! The command line: arguments as typed, one file a command.

pub mod bench;
pub mod classify;
pub mod discriminate;
pub mod eval;
pub mod export;
mod grid;
pub mod health;
pub mod lines;
pub mod models;
pub mod one_shot;
pub mod pull;
pub mod qa;
pub mod serve;
pub mod settings;
pub mod tag;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use thiserror::Error;

use crate::config::{Config, ConfigError};
use crate::telemetry::tracing::{LogError, LogOptions};

/// Serves ELECTRA models: replaced-token detection, classification, tagging and question answering.
#[derive(Debug, Parser)]
#[command(name = "electra", version, about, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the models over HTTP
    Serve(serve::ServeArguments),
    /// Make a model out of a checkpoint of the Hugging Face hub, or bring it up to date
    Pull(pull::PullArguments),
    /// Make a model out of a checkpoint in a folder
    Export(export::ExportArguments),
    /// Find the replaced tokens of texts
    Discriminate(discriminate::DiscriminateArguments),
    /// Classify texts
    Classify(classify::ClassifyArguments),
    /// Tag the tokens of texts
    Tag(tag::TagArguments),
    /// Answer a question from a context
    Qa(qa::QaArguments),
    /// Score models on labelled data
    Eval(eval::EvalArguments),
    /// List the models, and whether they load
    Models(models::ModelsArguments),
    /// Put load on models, and tell what they reach and what this machine could
    Bench(bench::BenchArguments),
    /// Ask a running server whether it is ready: exit code 0 if it is, else 1
    Health(health::HealthArguments),
}

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// It was called wrongly: a sentence that says how it should be.
    #[error("{0}")]
    Usage(String),
    /// It could not do what it should: a sentence that says why.
    #[error("{0}")]
    Failed(String),
    /// What failed was said already, where it belongs.
    #[error("some of it failed")]
    Reported,
}

impl CliError {
    /// Anything that keeps a command from doing what it should.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        Self::failed(error)
    }
}

/// Runs a command. The exit code is 0 if all went well, 1 if it failed, 2 if it was called wrongly.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let outcome = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Pull(arguments) => pull::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Discriminate(arguments) => discriminate::run(&arguments),
        Command::Classify(arguments) => classify::run(&arguments),
        Command::Tag(arguments) => tag::run(&arguments),
        Command::Qa(arguments) => qa::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Reported) => ExitCode::from(1),
        Err(error) => {
            eprintln!("electra: {error}");
            ExitCode::from(if matches!(error, CliError::Usage(_)) {
                2
            } else {
                1
            })
        }
    }
}

/// Reads the configuration out of flags, the process's environment and the file they name.
fn configuration(settings: &crate::config::Arguments) -> Result<Config, ConfigError> {
    crate::config::load(settings, |name| std::env::var(name).ok())
}

/// Commands that answer and end log only what goes wrong, unless told otherwise.
fn log_of_a_short_command(config: &Config, settings: &crate::config::Arguments) -> LogOptions {
    let told = settings.settings.contains_key("log")
        || std::env::var("ELECTRA_LOG").is_ok_and(|log| !log.is_empty());
    let filter = if told {
        config.log.filter.clone()
    } else {
        "warn".to_owned()
    };
    LogOptions {
        format: config.log.format,
        filter,
    }
}
