//! `WordPiece` in linear time: splits a word into the longest pieces of a vocabulary.

use daachorse::{DoubleArrayAhoCorasick, DoubleArrayAhoCorasickBuilder, MatchKind};
use tokenizers::models::wordpiece::{self, Error};
use tokenizers::{Model, Result, Token};

/// Finds the longest match at each position by one walk through an automaton.
///
/// The crate tokenizers looks up every possible piece in a hash map, so a word that the vocabulary can't spell costs it
/// the square of the word's length. Here, a word costs its length, and for each piece at most the length of the longest
/// token, by which a walk can overshoot.
pub(super) struct WordPiece {
    /// Pieces at the start of a word: all tokens, as the vocabulary spells them.
    first: DoubleArrayAhoCorasick<u32>,
    /// Pieces within a word: the tokens that begin with `prefix`, without it.
    continuing: DoubleArrayAhoCorasick<u32>,
    prefix: String,
    unknown_token: String,
    unknown_id: Option<u32>,
    most_characters: usize,
}

impl WordPiece {
    /// # Errors
    /// If the vocabulary is too large for an automaton: 16 million tokens.
    pub(super) fn try_new(model: &wordpiece::WordPiece) -> Result<Self> {
        let prefix = &model.continuing_subword_prefix;
        let mut tokens: Vec<_> = model.get_vocab().into_iter().collect();
        // An automaton is built in two thirds of the time from tokens in order.
        tokens.sort_unstable();
        let first = tokens.iter().map(|(token, id)| (token.as_str(), *id));
        let continuing = first
            .clone()
            .filter_map(|(token, id)| Some((token.strip_prefix(prefix.as_str())?, id)));
        Ok(Self {
            first: automaton(first)?,
            continuing: automaton(continuing)?,
            prefix: prefix.clone(),
            unknown_id: model.token_to_id(&model.unk_token),
            unknown_token: model.unk_token.clone(),
            most_characters: model.max_input_chars_per_word,
        })
    }

    /// Returns the tokens of a word: its pieces, or the unknown token if the vocabulary can't spell all of it.
    ///
    /// # Errors
    /// If the vocabulary lacks the unknown token where it is needed.
    pub(super) fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        if word.chars().count() <= self.most_characters
            && let Some(pieces) = self.pieces(word)
        {
            return Ok(pieces);
        }
        let id = self.unknown_id.ok_or(Error::MissingUnkToken)?;
        let value = self.unknown_token.clone();
        Ok(vec![Token::new(id, value, (0, word.len()))])
    }

    fn pieces(&self, word: &str) -> Option<Vec<Token>> {
        if word.is_empty() {
            return Some(Vec::new());
        }
        let first = self.first.leftmost_find_iter(word).next()?;
        if first.start() > 0 {
            return None;
        }
        let rest = first.end();
        let mut end = rest;
        let mut pieces = vec![Token::new(first.value(), word[..end].to_owned(), (0, end))];
        for piece in self.continuing.leftmost_find_iter(&word[rest..]) {
            let start = rest + piece.start();
            if start != end {
                return None;
            }
            end = rest + piece.end();
            let value = [&self.prefix, &word[start..end]].concat();
            pieces.push(Token::new(piece.value(), value, (start, end)));
        }
        (end == word.len()).then_some(pieces)
    }
}

/// An automaton of these tokens; the empty one matches nothing.
fn automaton<'a>(
    tokens: impl Iterator<Item = (&'a str, u32)>,
) -> Result<DoubleArrayAhoCorasick<u32>> {
    DoubleArrayAhoCorasickBuilder::new()
        .match_kind(MatchKind::LeftmostLongest)
        .build_with_values(tokens.filter(|(token, _)| !token.is_empty()))
        .map_err(|error| format!("its vocabulary is too large: {error}").into())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::{hash_set, vec};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn model(tokens: &[&str], prefix: &str, most_characters: usize) -> wordpiece::WordPiece {
        let vocabulary: HashMap<_, _> = tokens.iter().zip(0_u32..).collect();
        let definition = json!({"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocabulary,
            "continuing_subword_prefix": prefix, "max_input_chars_per_word": most_characters});
        serde_json::from_str(&definition.to_string()).unwrap()
    }

    /// The tokens of a word, or the reason why there are none.
    type Outcome = std::result::Result<Vec<Token>, String>;

    fn tokens(model: &wordpiece::WordPiece, word: &str) -> Outcome {
        let word_piece = WordPiece::try_new(model).unwrap();
        word_piece.tokenize(word).map_err(|error| error.to_string())
    }

    fn check(model: &wordpiece::WordPiece, word: &str) -> Outcome {
        let found = tokens(model, word);
        let expected = model.tokenize(word).map_err(|error| error.to_string());
        assert_eq!(
            found,
            expected,
            "{word:?} {model:?} {:?}",
            model.get_vocab()
        );
        found
    }

    #[test]
    fn a_word_is_split_into_its_longest_pieces() {
        let vocabulary = ["[UNK]", "un", "unaff", "##aff", "##able", "##a", "é", "##é"];
        let model = model(&vocabulary, "##", 9);
        let check = |word: &str, expected: &[(&str, (usize, usize))]| {
            let found = check(&model, word).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|token| (token.value.as_str(), token.offsets))
                .collect();
            assert_eq!(found, expected, "{word:?}");
        };
        check("", &[]);
        check("un", &[("un", (0, 2))]);
        check("unaffable", &[("unaff", (0, 5)), ("##able", (5, 9))]);
        check("unaé", &[("un", (0, 2)), ("##a", (2, 3)), ("##é", (3, 5))]);
        check(
            "éaffé",
            &[("é", (0, 2)), ("##aff", (2, 5)), ("##é", (5, 7))],
        );
        // The longest piece is taken even if the rest of the word then has none.
        check("unaffe", &[("[UNK]", (0, 6))]);
        // A match further on, and a token that is none at the start.
        check("xun", &[("[UNK]", (0, 3))]);
        check("unxaff", &[("[UNK]", (0, 6))]);
        check("able", &[("[UNK]", (0, 4))]);
        // The limit counts characters.
        check(
            "éééaaaaéa",
            &[
                ("é", (0, 2)),
                ("##é", (2, 4)),
                ("##é", (4, 6)),
                ("##a", (6, 7)),
                ("##a", (7, 8)),
                ("##a", (8, 9)),
                ("##a", (9, 10)),
                ("##é", (10, 12)),
                ("##a", (12, 13)),
            ],
        );
        check("éééaaaaéaa", &[("[UNK]", (0, 14))]);
        // A word that is spelled as a token within words.
        check("##a", &[("##a", (0, 3))]);
    }

    #[test]
    fn without_an_unknown_token_some_words_are_errors() {
        let model = model(&["a", "##a"], "##", 3);
        assert_eq!(check(&model, "aaa").unwrap().len(), 3);
        for word in ["aaaa", "ab"] {
            let error = check(&model, word).unwrap_err();
            assert!(error.contains("Missing [UNK] token"), "{error}");
        }
    }

    #[test]
    fn an_empty_vocabulary_and_an_empty_token_match_nothing() {
        for vocabulary in [&[][..], &["", "##", "[UNK]"]] {
            for word in ["", "a", "#", "##", "[UNK]", "a[UNK]"] {
                let _ = check(&model(vocabulary, "##", 9), word);
            }
        }
    }

    /// The crate's model would compute for hours: it looks up each of ten billion parts of this word.
    #[test]
    fn a_word_takes_time_in_proportion_to_its_length() {
        let letters = 100_000;
        let model = model(&["[UNK]", "a", "##a"], "##", letters + 1);
        let of = |word: &str| tokens(&model, word).unwrap().len();
        assert_eq!(of(&"a".repeat(letters)), letters);
        assert_eq!(of(&("a".repeat(letters) + "b")), 1);
    }

    proptest! {
        #[test]
        fn words_get_the_tokens_of_the_crate(
            vocabulary in hash_set("(##?|é)?[aé東#]{0,4}", 0..24),
            has_unknown: bool,
            prefix in prop_oneof![4 => Just("##"), 1 => Just(""), 1 => Just("#"), 1 => Just("é")],
            most_characters in 0_usize..12,
            words in vec("[aé東#b]{0,12}", 1..24),
        ) {
            let mut vocabulary: Vec<_> = vocabulary.iter().map(String::as_str).collect();
            vocabulary.extend(has_unknown.then_some("[UNK]"));
            let model = model(&vocabulary, prefix, most_characters);
            for word in words {
                let _ = check(&model, &word);
            }
        }
    }
}
