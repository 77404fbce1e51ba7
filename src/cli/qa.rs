//! `electra qa`.

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::lines::Options;
use super::one_shot::{self, CommonArguments};
use crate::service::QaRequest;

/// What `qa` takes.
#[derive(Debug, Args)]
pub struct QaArguments {
    /// The question; if there is none, lines of standard input: bodies of POST /qa
    #[arg(requires = "context")]
    question: Option<String>,
    /// The text that holds the answer
    context: Option<String>,
    /// How many answers, best first [default: 1]
    #[arg(long, value_name = "COUNT")]
    top_k: Option<u64>,
    /// Answer nothing where the context most likely holds no answer
    #[arg(long)]
    no_answer: bool,
    /// Longest answer in tokens [default: 30]
    #[arg(long, value_name = "TOKENS")]
    max_answer_tokens: Option<u64>,
    /// Tokens of a long context that neighbouring windows share [default: 128]
    #[arg(long, value_name = "TOKENS")]
    stride: Option<u64>,
    /// The unit of offsets: codepoint, utf8 or utf16 [default: codepoint]
    #[arg(long, value_name = "UNIT")]
    offsets: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// Prints a line of answers for each question.
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
