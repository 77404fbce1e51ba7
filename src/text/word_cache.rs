//! Caches the tokens of words. Most words of a text have occurred before, and a lookup takes a tenth of the time of
//! tokenizing.
//!
//! Here, a word is a run of characters between spaces, such as `don't,`. By BERT's rules, its tokens do not depend on
//! its context. Normalization works on single characters, or on a letter with its combining marks, and no token
//! contains a space. [`WordCache::suits`] tells whether a tokenizer has this property.

use std::mem::take;
use std::ops::Range;

use quick_cache::sync::Cache;
use tokenizers::{AddedToken, NormalizedString, Normalizer, PreTokenizerWrapper};

use super::normalizer::TextNormalizer;
use super::tokenized_text::TokenizedText;

/// More than the words in daily use of a language, in their spellings between spaces. A full cache takes less than five
/// megabytes.
const MOST_WORDS: usize = 1 << 15;
/// Longer words rarely recur.
const MOST_BYTES: usize = 32;
const MOST_TOKENS: usize = 8;

/// Maps words to their tokens. Shared by threads.
#[derive(Debug)]
pub(super) struct WordCache(Cache<Box<str>, Word>);

#[derive(Clone, Copy, Debug, Default)]
struct Word {
    tokens: [CachedToken; MOST_TOKENS],
    count: u8,
}

/// A token of a word: its id, its byte range in the word, and the index of the pre-tokenizer's part that contains it.
#[derive(Clone, Copy, Debug, Default)]
struct CachedToken {
    id: u32,
    start: u8,
    end: u8,
    part: u8,
}

impl WordCache {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST_WORDS))
    }

    /// Whether a tokenizer of these parts gives a word the same tokens in any context.
    pub(super) fn suits<'a>(
        normalizer: &TextNormalizer,
        pre_tokenizer: &PreTokenizerWrapper,
        added_tokens: impl IntoIterator<Item = &'a AddedToken>,
    ) -> bool {
        normalizer.is_bert()
            && matches!(pre_tokenizer, PreTokenizerWrapper::BertPreTokenizer(_))
            && added_tokens
                .into_iter()
                .all(|token| stays_in_a_word(token, normalizer))
    }

    /// Tokenizes `text`, calling `tokenize` only for runs of words that are not cached.
    pub(super) fn tokenize<E>(
        &self,
        text: &str,
        tokenize: impl Fn(&str) -> Result<TokenizedText, E>,
    ) -> Result<TokenizedText, E> {
        let mut tokens = TokenizedText::default();
        let learn = |tokens: &mut TokenizedText, unknown: Range<usize>| {
            if !unknown.is_empty() {
                let found = tokenize(&text[unknown.clone()])?;
                self.remember(&text[unknown.clone()], &found);
                append(tokens, found, unknown.start);
            }
            Ok(())
        };
        let mut unknown = 0..0;
        // A single cached word between uncached ones is tokenized with them, because one call is faster than two.
        let mut known = None;
        for range in words(text) {
            match self.0.get(&text[range.clone()]) {
                Some(word) if !unknown.is_empty() && known.is_none() => {
                    known = Some((word, range.start));
                }
                Some(word) => {
                    learn(&mut tokens, take(&mut unknown))?;
                    for (word, start) in known.take().into_iter().chain([(word, range.start)]) {
                        append_word(&mut tokens, &word, start);
                    }
                }
                None if unknown.is_empty() => unknown = range,
                None => {
                    known = None;
                    unknown.end = range.end;
                }
            }
        }
        learn(&mut tokens, unknown)?;
        if let Some((word, start)) = known {
            append_word(&mut tokens, &word, start);
        }
        Ok(tokens)
    }

    /// Caches each word of a text with these tokens.
    fn remember(&self, text: &str, tokens: &TokenizedText) {
        let mut end = 0;
        for range in words(text) {
            let start = end;
            let of_word = |offsets: &&Range<usize>| offsets.start < range.end;
            end += tokens.offsets[start..].iter().take_while(of_word).count();
            if let Some(word) = Word::of(tokens, start..end, &range) {
                self.0.insert(text[range].into(), word);
            }
        }
    }
}

impl Word {
    /// Converts `tokens` of a text to those of the word at `range`; `None` if the word is too long for the cache.
    fn of(text: &TokenizedText, tokens: Range<usize>, range: &Range<usize>) -> Option<Self> {
        if range.len() > MOST_BYTES || tokens.len() > MOST_TOKENS {
            return None;
        }
        let mut word = Self::default();
        let byte = |offset: usize| u8::try_from(offset.checked_sub(range.start)?).ok();
        let first_part = text.words.get(tokens.start).copied().flatten();
        for (token, place) in tokens.zip(&mut word.tokens) {
            let Range { start, end } = text.offsets[token];
            *place = CachedToken {
                id: text.ids[token],
                start: byte(start)?,
                end: byte(end)?,
                part: u8::try_from(text.words[token]?.checked_sub(first_part?)?).ok()?,
            };
            word.count += 1;
        }
        Some(word)
    }
}

/// Appends the tokens of a word that starts at byte `start` of the text.
fn append_word(text: &mut TokenizedText, word: &Word, start: usize) {
    let first_part = next_word(text);
    for token in &word.tokens[..usize::from(word.count)] {
        text.ids.push(token.id);
        text.offsets
            .push(start + usize::from(token.start)..start + usize::from(token.end));
        text.words.push(Some(first_part + u32::from(token.part)));
    }
}

/// Appends the tokens of a part that starts at byte `start` of the text.
fn append(text: &mut TokenizedText, more: TokenizedText, start: usize) {
    let first_word = next_word(text);
    let moved = |offsets: Range<usize>| start + offsets.start..start + offsets.end;
    text.ids.extend(more.ids);
    text.offsets.extend(more.offsets.into_iter().map(moved));
    let renumbered = |word: Option<u32>| word.map(|word| first_word + word);
    text.words.extend(more.words.into_iter().map(renumbered));
}

/// The index after that of the text's last word.
fn next_word(text: &TokenizedText) -> u32 {
    text.words
        .last()
        .copied()
        .flatten()
        .map_or(0, |last| last + 1)
}

/// Splits at spaces, tabs and line ends. Other white space is no boundary: BERT's normalizer removes some of it
/// (U+0085) and so joins the characters around it.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    text.as_bytes()
        .split(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .map(move |word| {
            let start = next;
            next += word.len() + 1;
            start..start + word.len()
        })
        .filter(|word| !word.is_empty())
}

/// Whether matches of an added token never extend beyond a word. Added tokens are matched before a text is split into
/// words, and again once it is normalized.
fn stays_in_a_word(token: &AddedToken, normalizer: &TextNormalizer) -> bool {
    let mut content = NormalizedString::from(token.content.as_str());
    let is_known = !token.normalized || normalizer.normalize(&mut content).is_ok();
    is_known && !token.lstrip && !token.rstrip && !content.get().contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;

    /// Makes one token per word, or one per letter of a capitalised word, and records its calls.
    struct Tokenizes(RefCell<Vec<String>>);

    impl Tokenizes {
        fn tokens(&self, text: &str) -> TokenizedText {
            self.0.borrow_mut().push(text.to_owned());
            let mut tokens = TokenizedText::default();
            for (number, word) in (0..).zip(words(text)) {
                let is_spelled = text.as_bytes()[word.start].is_ascii_uppercase();
                let step = if is_spelled { 1 } else { word.len() };
                for start in word.clone().step_by(step) {
                    tokens.ids.push(u32::from(text.as_bytes()[start]));
                    tokens.offsets.push(start..start + step);
                    tokens.words.push(Some(number));
                }
            }
            tokens
        }

        fn asked(&self) -> Vec<String> {
            self.0.take()
        }
    }

    fn tokenize(cache: &WordCache, text: &str, tokenizer: &Tokenizes) -> TokenizedText {
        let tokenize = |text: &str| Ok::<_, Infallible>(tokenizer.tokens(text));
        cache.tokenize(text, tokenize).unwrap()
    }

    #[test]
    fn words_that_are_remembered_are_not_tokenized_again() {
        let (cache, tokenizer) = (WordCache::new(), Tokenizes(RefCell::default()));
        let check = |text: &str, asked: &[&str]| {
            let expected = tokenizer.tokens(text);
            tokenizer.asked();
            let tokens = tokenize(&cache, text, &tokenizer);
            assert_eq!(tokens, expected, "{text:?}");
            assert_eq!(tokenizer.asked(), asked, "{text:?}");
        };
        check("", &[]);
        check(" \t\r\n", &[]);
        check("one two  ABC", &["one two  ABC"]);
        check("ABC\tone two", &[]);
        check("three four one ABC five", &["three four", "five"]);
        check("five six four", &["six"]);
        check(
            "seven two eight one two nine one",
            &["seven two eight", "nine"],
        );
        let long = "x".repeat(MOST_BYTES + 1);
        let of_many_tokens = "X".repeat(MOST_TOKENS + 1);
        for text in [&long, &of_many_tokens] {
            for _ in 0..2 {
                check(&format!("one {text} two"), &[text]);
            }
        }
        for text in [&long[1..], &of_many_tokens[1..]] {
            check(text, &[text]);
            check(text, &[]);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (cache, tokenizer) = (WordCache::new(), Tokenizes(RefCell::default()));
        for number in 0..2 * MOST_WORDS {
            let text = number.to_string();
            tokenize(&cache, &text, &tokenizer);
        }
        assert!(cache.0.len() <= MOST_WORDS, "{}", cache.0.len());
        assert!(cache.0.len() > MOST_WORDS / 2, "{}", cache.0.len());
    }
}
