//! The program `electra`: parses its arguments, runs the command, returns its exit code.

use std::process::ExitCode;

use clap::Parser;
use electra_server::cli;

/// Chosen by measurement: see docs/performance-history.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
