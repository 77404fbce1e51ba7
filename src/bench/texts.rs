//! Generates texts with an exact number of tokens from whole words of a model's vocabulary, in whatever language.

use fastrand::Rng;

use crate::text::{Tokenizer, TokenizerError};

/// Enough words that texts differ, and few enough that finding them takes no time.
const MOST_WORDS: usize = 2000;

/// Words that are exactly one token each when separated by spaces.
#[derive(Debug)]
pub struct Words(Vec<String>);

/// Why no text can be generated.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// No token of the vocabulary is a word.
    #[error("no token of its vocabulary is a word by itself; give your own texts with --texts")]
    NoWords,
    /// The tokenizer splits words in context differently from single words.
    #[error(
        "{wanted} words of its vocabulary became {found} tokens; give your own texts with --texts"
    )]
    Length {
        /// The number of tokens requested.
        wanted: usize,
        /// The number of tokens of the text.
        found: usize,
    },
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

impl Words {
    /// Picks random words from a tokenizer's vocabulary.
    ///
    /// # Errors
    /// [`TextError::NoWords`] if it has no words.
    pub fn of(tokenizer: &Tokenizer, random: &mut Rng) -> Result<Self, TextError> {
        let mut ids: Vec<u32> = (0..tokenizer.vocabulary_size())
            .filter_map(|id| u32::try_from(id).ok())
            .collect();
        random.shuffle(&mut ids);
        let words: Vec<String> = ids
            .into_iter()
            .filter_map(|id| word(tokenizer, id))
            .take(MOST_WORDS)
            .collect();
        if words.is_empty() {
            return Err(TextError::NoWords);
        }
        Ok(Self(words))
    }

    /// Generates a text with this many tokens, special tokens not counted. Returns the tokens too.
    ///
    /// # Errors
    /// [`TextError::Length`] if the tokenizer does not make one token of each word.
    pub fn text(
        &self,
        tokenizer: &Tokenizer,
        tokens: usize,
        random: &mut Rng,
    ) -> Result<(String, Vec<u32>), TextError> {
        let words: Vec<&str> = (0..tokens)
            .filter_map(|_| random.choice(&self.0).map(String::as_str))
            .collect();
        let text = words.join(" ");
        let ids = tokenizer.tokenize(&text)?.ids;
        if ids.len() == tokens {
            Ok((text, ids))
        } else {
            Err(TextError::Length {
                wanted: tokens,
                found: ids.len(),
            })
        }
    }
}

/// The token as a word, if it is one: letters or digits that tokenize to exactly this token.
fn word(tokenizer: &Tokenizer, id: u32) -> Option<String> {
    let token = tokenizer.token(id)?;
    let spelled = !token.is_empty() && token.chars().all(char::is_alphanumeric);
    (spelled && tokenizer.tokenize(&token).ok()?.ids == [id]).then_some(token)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn tokenizer(folder: &str) -> Tokenizer {
        Tokenizer::from_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap()
    }

    #[test]
    fn texts_have_exactly_the_tokens_asked_for() {
        for folder in [
            "models/electra-mini-sentiment",
            "tests/golden/checkpoints/discriminator-cased",
        ] {
            let tokenizer = tokenizer(folder);
            let mut random = Rng::with_seed(1);
            let words = Words::of(&tokenizer, &mut random).unwrap();
            for tokens in [0, 1, 2, 17, 300] {
                let (text, ids) = words.text(&tokenizer, tokens, &mut random).unwrap();
                assert_eq!(ids.len(), tokens);
                assert_eq!(tokenizer.tokenize(&text).unwrap().ids, ids);
                assert!(ids.iter().all(|id| Some(*id) != tokenizer.unknown_id()));
            }
        }
    }

    #[test]
    fn a_seed_makes_the_same_texts_again_and_another_makes_others() {
        let tokenizer = tokenizer("models/electra-mini-sentiment");
        let made = |seed| {
            let mut random = Rng::with_seed(seed);
            let words = Words::of(&tokenizer, &mut random).unwrap();
            words.text(&tokenizer, 20, &mut random).unwrap().0
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }

    #[test]
    fn a_vocabulary_without_words_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("vocab.txt"),
            "[UNK]\n[CLS]\n[SEP]\n##a\n!\n",
        )
        .unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        let error = Words::of(&tokenizer, &mut Rng::with_seed(0)).unwrap_err();
        assert!(error.to_string().contains("--texts"), "{error}");
    }
}
