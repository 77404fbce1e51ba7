//! The tokenizer's normalizer, with a fast path for plain English text.

use serde::{Deserialize, Serialize};
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper, Result};

/// Gives the same result as the wrapped normalizer. BERT's passes over a text five times and tracks where each byte
/// came from, which is half of the time of tokenizing. In plain text it changes only case and white space, character
/// for character, which the fast path does in one pass.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct TextNormalizer(NormalizerWrapper);

impl TextNormalizer {
    /// Whether the rules are BERT's.
    pub(super) fn is_bert(&self) -> bool {
        matches!(self.0, NormalizerWrapper::BertNormalizer(_))
    }
}

impl Normalizer for TextNormalizer {
    fn normalize(&self, text: &mut NormalizedString) -> Result<()> {
        let NormalizerWrapper::BertNormalizer(bert) = &self.0 else {
            return self.0.normalize(text);
        };
        if !text.get().chars().all(is_plain) {
            return bert.normalize(text);
        }
        let normalized = |character: char| match character {
            '\t' | '\n' | '\r' if bert.clean_text => ' ',
            character if bert.lowercase => character.to_ascii_lowercase(),
            character => character,
        };
        if text
            .get()
            .chars()
            .any(|character| character != normalized(character))
        {
            text.map(normalized);
        }
        Ok(())
    }
}

/// Whether a character is printable ASCII, white space, or a dash, quotation mark or dot of Unicode's General
/// Punctuation. Spaces and invisible characters of that block are excluded.
fn is_plain(character: char) -> bool {
    matches!(
        character,
        ' '..='~' | '\t' | '\n' | '\r' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205E}'
    )
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use tokenizers::normalizers::BertNormalizer;

    use super::*;

    fn text(rng: &mut Rng, characters: &[char]) -> String {
        let length = rng.usize(0..24);
        (0..length)
            .map(|_| characters[rng.usize(..characters.len())])
            .collect()
    }

    /// The normalized text, with the origin of each byte.
    fn normalized(normalizer: &impl Normalizer, text: &str) -> NormalizedString {
        let mut text = NormalizedString::from(text);
        normalizer.normalize(&mut text).unwrap();
        text
    }

    fn each_setting() -> impl Iterator<Item = BertNormalizer> {
        (0..32).map(|settings| {
            let flag = |bit: usize| settings & (1 << bit) != 0;
            let strip_accents = flag(2).then(|| flag(3));
            BertNormalizer::new(flag(0), flag(1), strip_accents, flag(4))
        })
    }

    fn check(bert: BertNormalizer, text: &str) {
        let short = TextNormalizer(NormalizerWrapper::BertNormalizer(bert));
        assert_eq!(
            normalized(&short, text),
            normalized(&bert, text),
            "{text:?} {bert:?}"
        );
    }

    #[test]
    fn every_plain_character_becomes_what_berts_normalizer_makes_of_it() {
        let plain = || (char::MIN..=char::MAX).filter(|character| is_plain(*character));
        assert_eq!(plain().count(), 95 + 3 + 24 + 47);
        for bert in each_setting() {
            for character in plain() {
                check(bert, &character.to_string());
            }
        }
    }

    #[test]
    fn texts_become_what_berts_normalizer_makes_of_them() {
        let mut rng = Rng::with_seed(11);
        let plain: Vec<char> = (char::MIN..='\u{2100}')
            .filter(|character| is_plain(*character))
            .collect();
        let others = [
            'é', 'É', '字', '\u{301}', '\u{200b}', '\0', '\u{7f}', '\u{fffd}',
        ];
        let any: Vec<char> = plain
            .iter()
            .copied()
            .chain(others.into_iter().cycle().take(99))
            .collect();
        for bert in each_setting() {
            for _ in 0..200 {
                for characters in [&plain, &any] {
                    check(bert, &text(&mut rng, characters));
                }
            }
        }
    }
}
