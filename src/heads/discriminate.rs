//! Replaced-token detection: the probability that each token, or each word, was replaced.

use std::ops::Range;

use super::sigmoid;

/// A word and the highest score of its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct WordScore {
    /// The word's tokens, as indices into the scores.
    pub tokens: Range<usize>,
    /// The highest probability among the word's tokens that the token was replaced, 0 to 1.
    pub score: f32,
}

/// The probability, 0 to 1, that a token with this logit was replaced.
#[must_use]
pub fn replaced_probability(logit: f32) -> f32 {
    sigmoid(logit)
}

/// Whether a score is above the threshold, which is 0.5 unless a client sets another.
#[must_use]
pub fn is_replaced(score: f32, threshold: f32) -> bool {
    score > threshold
}

/// Groups tokens into words and scores each word by the highest score of its tokens.
///
/// `scores` and `words` have one entry per token. A word is a run of tokens with the same word index; a token without
/// an index is a word of its own.
#[must_use]
pub fn score_words(scores: &[f32], words: &[Option<u32>]) -> Vec<WordScore> {
    let mut found: Vec<WordScore> = Vec::new();
    let mut previous = None;
    for (token, (&score, &word)) in scores.iter().zip(words).enumerate() {
        match found.last_mut() {
            Some(last) if word.is_some() && word == previous => {
                last.tokens.end = token + 1;
                last.score = last.score.max(score);
            }
            _ => found.push(WordScore {
                tokens: token..token + 1,
                score,
            }),
        }
        previous = word;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_as_suspicious_as_its_worst_token() {
        let check = |scores: &[f32], words: &[Option<u32>], expected: &[(Range<usize>, f32)]| {
            let found: Vec<_> = score_words(scores, words)
                .into_iter()
                .map(|word| (word.tokens, word.score))
                .collect();
            assert_eq!(found, expected);
        };
        check(&[], &[], &[]);
        check(
            &[0.1, 0.2, 0.9, 0.3],
            &[Some(0), Some(1), Some(1), Some(1)],
            &[(0..1, 0.1), (1..4, 0.9)],
        );
        check(
            &[0.5, 0.4],
            &[Some(3), Some(4)],
            &[(0..1, 0.5), (1..2, 0.4)],
        );
        // Without word indices, each token is a word.
        check(
            &[0.1, 0.2, 0.3],
            &[None, None, Some(0)],
            &[(0..1, 0.1), (1..2, 0.2), (2..3, 0.3)],
        );
    }

    #[test]
    fn replaced_is_above_the_threshold() {
        assert!(is_replaced(replaced_probability(0.01), 0.5));
        assert!(!is_replaced(replaced_probability(0.0), 0.5));
        assert!(!is_replaced(1.0, 1.0));
    }
}
