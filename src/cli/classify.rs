//! `electra classify`.

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::lines::Options;
use super::one_shot::{self, CommonArguments};
use crate::service::ClassifyRequest;

#[derive(Debug, Args)]
pub struct ClassifyArguments {
    /// Texts to classify; without any, reads lines of standard input: plain text, JSON strings, or bodies of POST
    /// /classify
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// A second text, paired with each text
    #[arg(long, value_name = "TEXT", requires = "texts")]
    pair: Option<String>,
    /// Number of labels, best first [default: all]
    #[arg(long, value_name = "COUNT")]
    top_k: Option<u64>,
    /// How logits become scores: softmax, sigmoid or none [default: the model's own]
    #[arg(long, value_name = "FUNCTION")]
    function: Option<String>,
    /// Truncate texts that are too long for the model
    #[arg(long)]
    truncate: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// Prints one line of labels and scores per text.
///
/// # Errors
/// See [`one_shot::run`].
pub fn run(arguments: &ClassifyArguments) -> Result<(), CliError> {
    let options = Options::default()
        .with("top_k", arguments.top_k)
        .with("function", arguments.function.clone())
        .with("truncate", arguments.truncate.then_some(true));
    let body = |text: &String| match &arguments.pair {
        Some(second) => json!({"text": [[text, second]]}),
        None => json!({"text": text}),
    };
    let bodies: Vec<_> = arguments.texts.iter().map(body).collect();
    one_shot::run::<ClassifyRequest>(&arguments.common, options, &bodies)
}
