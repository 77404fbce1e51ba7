//! Errors of loading or using a tokenizer.

use std::io;
use std::path::PathBuf;

/// The reason why a tokenizer can't be loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The folder has none of the files that define a tokenizer.
    #[error(
        "{} has no tokenizer: put the checkpoint's tokenizer.json there, or its vocab.txt with tokenizer_config.json",
        .folder.display()
    )]
    Missing { folder: PathBuf },
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The content of a file is invalid.
    #[error("{} is not usable: {reason}", .path.display())]
    Invalid {
        path: PathBuf,
        /// The mistake, and the valid form.
        reason: String,
    },
    #[error("The text cannot be tokenized: {reason}")]
    Text {
        /// The tokenizer's message.
        reason: String,
    },
    /// Some tokens have no row in the model's word embedding.
    #[error(
        "The tokenizer has {tokens} tokens, and the model, by config.json's vocab_size, only {rows}: they do not belong \
         together"
    )]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the word embedding.
        rows: usize,
    },
    #[error("The tokenizer cannot be written as JSON: {reason}")]
    Json {
        /// The tokenizer's message.
        reason: String,
    },
}
