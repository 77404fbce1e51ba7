//! Joins words into a text, and maps the text's tokens back to words.

use std::ops::Range;

/// Words joined by single spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedWords {
    pub text: String,
    /// Byte range of each word in the text.
    pub words: Vec<Range<usize>>,
}

impl JoinedWords {
    #[must_use]
    pub fn new(words: &[String]) -> Self {
        let mut start = 0;
        let place = |word: &String| {
            let place = start..start + word.len();
            start = place.end + 1;
            place
        };
        Self {
            words: words.iter().map(place).collect(),
            text: words.join(" "),
        }
    }
}

/// The first token that starts in each word, or `None` if no token does. `tokens` are byte ranges, in order.
#[must_use]
pub fn first_tokens(words: &[Range<usize>], tokens: &[Range<usize>]) -> Vec<Option<usize>> {
    let mut token = 0;
    let first = |word: &Range<usize>| {
        let starts_before = |end: usize| move |bytes: &Range<usize>| bytes.start < end;
        while tokens.get(token).is_some_and(starts_before(word.start)) {
            token += 1;
        }
        let inside = tokens.get(token).is_some_and(starts_before(word.end));
        inside.then_some(token)
    };
    words.iter().map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "tokens are ranges")]
    fn a_word_is_that_of_its_first_token() {
        let joined = JoinedWords::new(&["The", "é\u{200b}", "\u{200b}", "end."].map(str::to_owned));
        assert_eq!(joined.text, "The é\u{200b} \u{200b} end.");
        assert_eq!(joined.words, [0..3, 4..9, 10..13, 14..18]);
        let tokens = [0..2, 2..3, 4..6, 14..17, 17..18];
        assert_eq!(
            first_tokens(&joined.words, &tokens),
            [Some(0), Some(2), None, Some(3)]
        );
        assert_eq!(
            first_tokens(&joined.words, &[15..18]),
            [None, None, None, Some(0)]
        );
        assert!(first_tokens(&[], &tokens).is_empty());
    }
}
