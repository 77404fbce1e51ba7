//! The commands and their arguments, and running one of them.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::error::CliError;
use super::{bench, classify, discriminate, eval, export, health, models, pull, qa, serve, tag};

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
