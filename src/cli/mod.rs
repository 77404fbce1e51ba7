//! The command line: arguments as typed, one file per command.

pub mod bench;
pub mod classify;
mod command;
mod configuration;
pub mod discriminate;
mod error;
pub mod eval;
pub mod export;
mod grid;
pub mod health;
pub mod key;
pub mod lines;
pub mod models;
pub mod one_shot;
pub mod pull;
pub mod qa;
pub mod serve;
pub mod settings;
pub mod tag;

pub use command::{Arguments, Command, run};
pub use error::CliError;
