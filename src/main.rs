//! The program `electra`: parses its arguments, runs the command, returns its exit code.

use std::process::ExitCode;

use clap::Parser;
use electra_server::cli;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
