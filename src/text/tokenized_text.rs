//! The tokens of a text, each with the bytes and the word that it stands for.

use std::ops::Range;

/// The tokens of a text, without special tokens around them; the three lists are of equal length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenizedText {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token the bytes of the text as it was sent, on character boundaries, never beyond the text.
    ///
    /// Tokens may share bytes, where one character became several tokens.
    pub offsets: Vec<Range<usize>>,
    /// For each token the index of its word, as the pre-tokenizer splits the text.
    pub words: Vec<Option<u32>>,
}

impl TokenizedText {
    /// How many tokens the text has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the text has no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether a token belongs to the same word as the one before it.
    #[must_use]
    pub fn continues_word(&self, token: usize) -> bool {
        let word = |token: usize| self.words.get(token).copied().flatten();
        word(token).is_some() && token > 0 && word(token) == word(token - 1)
    }
}
