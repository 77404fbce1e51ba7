//! `electra qa`.

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::lines::Options;
use super::one_shot::{self, CommonArguments};
use crate::service::QaRequest;

#[derive(Debug, Args)]
pub struct QaArguments {
    /// The question; without one, reads lines of standard input: bodies of POST /qa
    #[arg(requires = "context")]
    question: Option<String>,
    /// The text that contains the answer
    context: Option<String>,
    /// Number of answers, best first [default: 1]
    #[arg(long, value_name = "COUNT")]
    top_k: Option<u64>,
    /// Return no answer if the context most likely contains none
    #[arg(long)]
    no_answer: bool,
    /// Longest answer in tokens [default: 30]
    #[arg(long, value_name = "TOKENS")]
    max_answer_tokens: Option<u64>,
    /// Tokens that neighbouring windows of a long context share [default: 128]
    #[arg(long, value_name = "TOKENS")]
    stride: Option<u64>,
    /// The unit of offsets: codepoint, utf8 or utf16 [default: codepoint]
    #[arg(long, value_name = "UNIT")]
    offsets: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// Prints one line of answers per question.
///
/// # Errors
/// See [`one_shot::run`].
pub fn run(arguments: &QaArguments) -> Result<(), CliError> {
    let options = Options::default()
        .with("top_k", arguments.top_k)
        .with("no_answer", arguments.no_answer.then_some(true))
        .with("max_answer_tokens", arguments.max_answer_tokens)
        .with("stride", arguments.stride)
        .with("offsets", arguments.offsets.clone());
    let bodies = match (&arguments.question, &arguments.context) {
        (Some(question), Some(context)) => vec![json!({"question": question, "context": context})],
        _ => Vec::new(),
    };
    one_shot::run::<QaRequest>(&arguments.common, options, &bodies)
}
