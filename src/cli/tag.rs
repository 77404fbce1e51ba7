//! `electra tag`.

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::lines::Options;
use super::one_shot::{self, CommonArguments};
use crate::service::TagRequest;

#[derive(Debug, Args)]
pub struct TagArguments {
    /// Texts to tag; without any, reads lines of standard input: plain text, JSON strings, or bodies of POST /tag
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// How tokens become entities: none, simple, first, average or max [default: simple]
    #[arg(long, value_name = "HOW")]
    aggregation: Option<String>,
    /// The unit of offsets: codepoint, utf8 or utf16 [default: codepoint]
    #[arg(long, value_name = "UNIT")]
    offsets: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// Prints one line of entities per text.
///
/// # Errors
/// See [`one_shot::run`].
pub fn run(arguments: &TagArguments) -> Result<(), CliError> {
    let options = Options::default()
        .with("aggregation", arguments.aggregation.clone())
        .with("offsets", arguments.offsets.clone());
    let bodies: Vec<_> = arguments
        .texts
        .iter()
        .map(|text| json!({"text": text}))
        .collect();
    one_shot::run::<TagRequest>(&arguments.common, options, &bodies)
}
