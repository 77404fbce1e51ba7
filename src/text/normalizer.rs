//! The tokenizer's normalizer, with a short cut for ASCII.

use serde::{Deserialize, Serialize};
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper, Result};

/// Normalizes as the wrapped normalizer does. BERT's goes over a text five times, keeping account of where each byte came
/// from, which is half of the time of tokenizing; of printable ASCII it can change case and white space alone, byte for byte.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct TextNormalizer(NormalizerWrapper);

impl Normalizer for TextNormalizer {
    fn normalize(&self, text: &mut NormalizedString) -> Result<()> {
        let NormalizerWrapper::BertNormalizer(bert) = &self.0 else {
            return self.0.normalize(text);
        };
        if !text.get().bytes().all(is_plain) {
            return bert.normalize(text);
        }
        let normalized = |byte: u8| match byte {
            b'\t' | b'\n' | b'\r' if bert.clean_text => b' ',
            byte if bert.lowercase => byte.to_ascii_lowercase(),
            byte => byte,
        };
        if text.get().bytes().any(|byte| byte != normalized(byte)) {
            text.map(|character| {
                u8::try_from(character).map_or(character, |byte| normalized(byte).into())
            });
        }
        Ok(())
    }
}

/// Whether BERT's normalizer keeps a byte in its place: it takes out other control characters.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
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

    /// The text and where each of its bytes came from.
    fn normalized(normalizer: &impl Normalizer, text: &str) -> NormalizedString {
        let mut text = NormalizedString::from(text);
        normalizer.normalize(&mut text).unwrap();
        text
    }

    #[test]
    fn ascii_becomes_what_berts_normalizer_makes_of_it() {
        let mut rng = Rng::with_seed(11);
        let plain: Vec<char> = (0..128_u8)
            .filter(|byte| is_plain(*byte))
            .map(char::from)
            .collect();
        let any: Vec<char> = (0..128_u8)
            .map(char::from)
            .chain(['é', '字', '\u{301}', '\u{200b}'])
            .collect();
        for settings in 0..16 {
            let flag = |bit: usize| settings & (1 << bit) != 0;
            let strip_accents = flag(2).then(|| flag(3));
            let bert = BertNormalizer::new(flag(0), flag(1), strip_accents, flag(3));
            let short = TextNormalizer(NormalizerWrapper::BertNormalizer(bert));
            for _ in 0..200 {
                for characters in [&plain, &any] {
                    let text = text(&mut rng, characters);
                    assert_eq!(
                        normalized(&short, &text),
                        normalized(&bert, &text),
                        "{text:?} {bert:?}"
                    );
                }
            }
        }
    }
}
