//! `electra discriminate`.

use clap::Args;
use serde_json::{Number, json};

use super::error::CliError;
use super::lines::Options;
use super::one_shot::{self, CommonArguments, number};
use crate::service::DiscriminateRequest;

#[derive(Debug, Args)]
pub struct DiscriminateArguments {
    /// Texts to score; without any, reads lines of standard input: plain text, JSON strings, or bodies of POST
    /// /discriminate
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// A token with a score above this is marked as fake [default: 0.5]
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    threshold: Option<Number>,
    /// The units to score: token or word [default: token]
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    /// The unit of offsets: codepoint, utf8 or utf16 [default: codepoint]
    #[arg(long, value_name = "UNIT")]
    offsets: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// Prints one line of scored tokens or words per text.
///
/// # Errors
/// See [`one_shot::run`].
pub fn run(arguments: &DiscriminateArguments) -> Result<(), CliError> {
    let options = Options::default()
        .with("threshold", arguments.threshold.clone())
        .with("level", arguments.level.clone())
        .with("offsets", arguments.offsets.clone());
    let bodies: Vec<_> = arguments
        .texts
        .iter()
        .map(|text| json!({"text": text}))
        .collect();
    one_shot::run::<DiscriminateRequest>(&arguments.common, options, &bodies)
}
