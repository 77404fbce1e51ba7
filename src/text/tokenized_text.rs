//! The tokens of a text, each with its bytes and its word.

use std::ops::Range;

/// The tokens of a text, without enclosing special tokens. The three lists have the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenizedText {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token, its byte range in the text as it was sent. Ranges are on character boundaries and within the
    /// text.
    ///
    /// Tokens may share bytes, if one character became several tokens.
    pub offsets: Vec<Range<usize>>,
    /// For each token, the index of its word, according to the pre-tokenizer.
    pub words: Vec<Option<u32>>,
}

impl TokenizedText {
    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether a token belongs to the same word as the token before it.
    #[must_use]
    pub fn continues_word(&self, token: usize) -> bool {
        let word = |token: usize| self.words.get(token).copied().flatten();
        word(token).is_some() && token > 0 && word(token) == word(token - 1)
    }
}
