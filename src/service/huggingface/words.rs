//! Texts given as lists of words (`is_split_into_words`). Each word is tokenized separately; offsets are positions in
//! the joined text.

use std::ops::Range;

use serde_json::Value;

use super::super::input::{Inputs, check_bytes};
use super::super::json;
use crate::error::ServiceError;
use crate::limits::Limits;
use crate::text::{TokenizedText, Tokenizer, TokenizerError};

/// A text, whole or joined from words.
pub(super) struct Text {
    text: String,
    /// Byte range of each word.
    words: Option<Vec<Range<usize>>>,
}

impl Text {
    pub fn whole(text: String) -> Self {
        Self { text, words: None }
    }

    /// Joins words with a delimiter. The joined length is checked before joining, because the delimiter counts once per
    /// gap.
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

    /// Tokenizes the text. No token spans two words.
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

/// Reads the field `inputs` as one list of words, or several.
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
        // An empty list is no input, not one input without words.
        Value::Array(items) if items.is_empty() => Ok(Inputs::many(Vec::new())),
        words => read(words, "inputs").map(Inputs::one),
    }
}
