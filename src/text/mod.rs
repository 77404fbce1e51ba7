//! Text to tokens and back: tokenizer, windows over long texts, offsets into the text as it was sent.

mod definition;
mod normalizer;
pub mod offsets;
pub mod sequence;
mod shared;
pub mod tokenizer;
mod tokenizer_config;
mod vocabulary;
pub mod windows;
mod word_cache;

pub use offsets::{OffsetEncoding, OffsetMap};
pub use shared::SharedTokenizers;
pub use tokenizer::{SpecialTokens, TokenizedText, Tokenizer, TokenizerError};
pub use windows::Window;
