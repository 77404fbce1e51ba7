//! Why a tokenizer can't be loaded or used.

use std::io;
use std::path::PathBuf;

/// Why a tokenizer can't be loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// Neither of the files that define a tokenizer is there.
    #[error(
        "{} has no tokenizer: put the checkpoint's tokenizer.json there, or its vocab.txt with tokenizer_config.json",
        .folder.display()
    )]
    Missing {
        /// The model folder.
        folder: PathBuf,
    },
    /// A file is there but can't be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} is not usable: {reason}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The tokenizer failed on a text.
    #[error("The text cannot be tokenized: {reason}")]
    Text {
        /// What the tokenizer says.
        reason: String,
    },
    /// Some token has no row in the model's embeddings.
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
    /// The tokenizer can't be written.
    #[error("The tokenizer cannot be written as JSON: {reason}")]
    Json {
        /// What the tokenizer says.
        reason: String,
    },
}
