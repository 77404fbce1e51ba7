//! Converts text to tokens and back: tokenizer, windows over long texts, offsets into the text as it was sent.

mod added_tokens;
mod bounds;
mod cost;
mod definition;
mod error;
mod json_file;
mod model;
mod normalizer;
pub mod offsets;
pub mod sequence;
mod shared;
mod tokenized_text;
mod tokenizer;
mod tokenizer_config;
mod vocabulary;
pub mod windows;
mod word_cache;
mod word_piece;

pub use error::TokenizerError;
pub use offsets::{OffsetEncoding, OffsetMap};
pub use shared::SharedTokenizers;
pub use tokenized_text::TokenizedText;
pub use tokenizer::{SpecialTokens, Tokenizer};
pub use windows::Window;
