//! The commands and their arguments, and their execution.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::error::CliError;
use super::{
    bench, classify, discriminate, eval, export, health, key, models, pull, qa, serve, tag,
};

/// Serves ELECTRA models: replaced-token detection, classification, tagging and question answering.
#[derive(Debug, Parser)]
#[command(name = "electra", version, about, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve models over HTTP and gRPC
    Serve(serve::ServeArguments),
    /// Download a checkpoint from the Hugging Face hub and make a model of it, or update the model
    Pull(pull::PullArguments),
    /// Export a checkpoint in a folder to a model
    Export(export::ExportArguments),
    /// Find replaced tokens in texts
    Discriminate(discriminate::DiscriminateArguments),
    /// Classify texts or pairs of texts
    Classify(classify::ClassifyArguments),
    /// Find entities in texts
    Tag(tag::TagArguments),
    /// Answer a question from a context
    Qa(qa::QaArguments),
    /// Score models on labelled data
    Eval(eval::EvalArguments),
    /// List the models, and whether they load
    Models(models::ModelsArguments),
    /// Measure throughput and latency of models under load, and compare them with this machine's limit
    Bench(bench::BenchArguments),
    /// Make a key for a server that asks for one, and the line of it for the file of keys
    Key(key::KeyArguments),
    /// Check whether a running server is ready: exit code 0 if it is, else 1
    Health(health::HealthArguments),
}

/// Runs a command. The exit code is 0 on success, 1 on failure, and 2 if the arguments are invalid.
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
        Command::Key(arguments) => key::run(&arguments),
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
