//! Texts that come as lists of words (`is_split_into_words`): each word is tokenized by itself, and has its place in the
//! text that all words make together.

use std::ops::Range;

use serde_json::Value;

use super::super::input::{Inputs, check_bytes};
use super::super::json;
use crate::error::ServiceError;
use crate::limits::Limits;
use crate::text::{TokenizedText, Tokenizer, TokenizerError};

/// A text, whole or in words.
pub(super) struct Text {
    text: String,
    /// The bytes of each word.
    words: Option<Vec<Range<usize>>>,
}

impl Text {
    pub fn whole(text: String) -> Self {
        Self { text, words: None }
    }

    /// The words with a delimiter between them. How long that is, is checked first: a delimiter counts for each word.
    fn of_words(
        words: &[String],
        delimiter: &str,
        limits: &Limits,
        place: impl FnOnce() -> String,
    ) -> Result<Self, ServiceError> {
        let between = delimiter
            .len()
            .saturating_mul(words.len().saturating_sub(1));
        let length = words.iter().map(String::len).sum::<usize>();
        check_bytes(length.saturating_add(between), limits, place)?;
        let mut start = 0;
        let bytes = |word: &String| {
            let bytes = start..start + word.len();
            start = bytes.end + delimiter.len();
            bytes
        };
        Ok(Self {
            words: Some(words.iter().map(bytes).collect()),
            text: words.join(delimiter),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn into_string(self) -> String {
        self.text
    }

    /// The text's tokens, which lie within words.
    pub fn tokenize(&self, tokenizer: &Tokenizer) -> Result<TokenizedText, TokenizerError> {
        let Some(words) = &self.words else {
            return tokenizer.tokenize(&self.text);
        };
        let mut all = TokenizedText::default();
        for (word, place) in (0..).zip(words) {
            let tokens = tokenizer.tokenize(&self.text[place.clone()])?;
            let moved = |bytes: &Range<usize>| bytes.start + place.start..bytes.end + place.start;
            all.words.extend(tokens.ids.iter().map(|_| Some(word)));
            all.offsets.extend(tokens.offsets.iter().map(moved));
            all.ids.extend(tokens.ids);
        }
        Ok(all)
    }
}

/// The field `inputs` as a list of words, or several.
pub(super) fn split_into_words(
    value: Value,
    delimiter: &str,
    limits: &Limits,
) -> Result<Inputs<Text>, ServiceError> {
    let is_several = |items: &Vec<Value>| items.iter().any(Value::is_array);
    let read = |value: Value, place: &str| {
        let words: Vec<String> = json::read(value, place)?;
        Text::of_words(&words, delimiter, limits, || place.to_owned())
    };
    match value {
        Value::Array(items) if is_several(&items) => {
            let items = Inputs::many(items);
            items.check_count("inputs", limits)?;
            let items = items.into_items().into_iter().enumerate();
            let texts = items.map(|(index, value)| read(value, &format!("inputs[{index}]")));
            Ok(Inputs::many(texts.collect::<Result<_, _>>()?))
        }
        // No text at all, rather than one without words.
        Value::Array(items) if items.is_empty() => Ok(Inputs::many(Vec::new())),
        words => read(words, "inputs").map(Inputs::one),
    }
}
