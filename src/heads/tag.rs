//! Token tagging: the labels of tokens as entities, by the strategies of transformers' token-classification pipeline (4.57),
//! and by its rules or those of the labels' scheme.

use std::ops::Range;

use super::scheme::{Place, Scheme};
use super::softmax;
use crate::fields::Aggregation;

/// Which neighbours are one entity, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// As transformers' pipeline has it, which knows `B-` and `I-`: what follows a label's first hyphen is the entity's.
    Pipeline,
    /// As the scheme has it that the model's labels are of.
    Scheme(Scheme),
}

/// A token of a text, special tokens left out.
#[derive(Clone, Debug)]
pub struct TaggedToken<'a> {
    /// One logit a label.
    pub logits: &'a [f32],
    /// The bytes of the text it stands for.
    pub bytes: Range<usize>,
    /// Whether it belongs to the word of the token before it.
    pub continues_word: bool,
}

/// A stretch of text with a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity<'l> {
    /// The whole label for [`Aggregation::None`], else what the grouping takes for its name.
    pub label: &'l str,
    /// Mean of its words' or tokens' probabilities, 0 to 1.
    pub score: f32,
    /// From the start of its first token to the end of its last, in bytes of the text.
    pub bytes: Range<usize>,
    /// Its tokens, as indices into the tokens given.
    pub tokens: Range<usize>,
}

/// The entities of a text in reading order, without those whose label is in `ignored` (`O`, as a rule).
///
/// `labels[i]` names logit `i`. Labels are ignored only after tokens have been joined, as in the pipeline.
#[must_use]
pub fn entities<'l>(
    tokens: &[TaggedToken],
    labels: &'l [String],
    ignored: &[&str],
    aggregation: Aggregation,
    grouping: Grouping,
) -> Vec<Entity<'l>> {
    let words: Vec<Entity> = words(tokens, aggregation)
        .into_iter()
        .filter_map(|word| best_label(&tokens[word.clone()], aggregation).map(|best| (word, best)))
        .filter_map(|(word, (label, score))| {
            Some(Entity {
                label: labels.get(label)?,
                score,
                bytes: span(&tokens[word.clone()]),
                tokens: word,
            })
        })
        .collect();
    let mut entities = match aggregation {
        Aggregation::None => words,
        _ => words
            .chunk_by(|last, next| {
                let continues_word = tokens[next.tokens.start].continues_word;
                grouping.joins(last.label, next.label, continues_word)
            })
            .map(|words| group(words, grouping))
            .collect(),
    };
    entities.retain(|entity| !ignored.contains(&entity.label));
    entities
}

/// Whether transformers' pipeline takes a token for the continuation of a word: where its piece (`##ing`) and the text it
/// stands for differ in length, counted in code points. Unknown tokens never are.
///
/// This is only a guess at words (an accent that was stripped makes a whole word look like a continuation); the
/// tokenizer's own word indices are better where parity is not the aim.
#[must_use]
pub fn looks_like_continuation(piece: &str, surface: &str, is_unknown: bool) -> bool {
    !is_unknown && piece.chars().count() != surface.chars().count()
}

/// The tokens of each word; for strategies that know no words each token by itself.
fn words(tokens: &[TaggedToken], aggregation: Aggregation) -> Vec<Range<usize>> {
    let by_token = matches!(aggregation, Aggregation::None | Aggregation::Simple);
    let mut start = 0;
    tokens
        .chunk_by(|_, next| !by_token && next.continues_word)
        .map(|word| {
            let range = start..start + word.len();
            start = range.end;
            range
        })
        .collect()
}

/// The label that the tokens of one word agree on, and its probability.
fn best_label(word: &[TaggedToken], aggregation: Aggregation) -> Option<(usize, f32)> {
    let mut probabilities = word.iter().map(|token| softmax(token.logits));
    match aggregation {
        Aggregation::None | Aggregation::Simple | Aggregation::First => {
            highest(&probabilities.next()?)
        }
        Aggregation::Max => probabilities
            .filter_map(|scores| highest(&scores))
            .reduce(|best, token| if token.1 > best.1 { token } else { best }),
        Aggregation::Average => {
            let mut sums = probabilities.next()?;
            for scores in probabilities {
                for (sum, score) in sums.iter_mut().zip(scores) {
                    *sum += score;
                }
            }
            #[allow(clippy::cast_precision_loss, reason = "a word has few tokens")]
            let count = word.len() as f32;
            highest(&sums).map(|(label, sum)| (label, sum / count))
        }
    }
}

/// The first of the highest values, with its index.
fn highest(values: &[f32]) -> Option<(usize, f32)> {
    values
        .iter()
        .copied()
        .enumerate()
        .reduce(|best, value| if value.1 > best.1 { value } else { best })
}

impl Grouping {
    /// Whether a token or word labelled `next` goes on with the entity of the one before.
    fn joins(self, last: &str, next: &str, continues_word: bool) -> bool {
        match self {
            // The same tag, and no `B-`. A label with no prefix counts as `I-`.
            Self::Pipeline => !next.starts_with("B-") && tag(last) == tag(next),
            Self::Scheme(scheme) => {
                let (before, tag) = (scheme.tag(last), scheme.tag(next));
                // Tokens of one word may all have the label of the word, the end or the whole of an entity.
                let same_word = continues_word && matches!(tag.place, Place::End | Place::Single);
                match tag.place {
                    Place::Outside => before.place == Place::Outside,
                    _ => !tag.starts(Some(before)) || (same_word && before == tag),
                }
            }
        }
    }

    /// What an entity is called whose first label is this.
    fn name(self, label: &str) -> &str {
        match self {
            Self::Pipeline => label.split_once('-').map_or(label, |(_, tag)| tag),
            Self::Scheme(scheme) => scheme.tag(label).kind,
        }
    }
}

fn tag(label: &str) -> &str {
    label
        .strip_prefix("B-")
        .or_else(|| label.strip_prefix("I-"))
        .unwrap_or(label)
}

/// One entity of the adjacent words that join.
fn group<'l>(words: &[Entity<'l>], grouping: Grouping) -> Entity<'l> {
    let (first, last) = (&words[0], &words[words.len() - 1]);
    let sum: f64 = words.iter().map(|word| f64::from(word.score)).sum();
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a mean of probabilities"
    )]
    let score = (sum / words.len() as f64) as f32;
    Entity {
        label: grouping.name(first.label),
        score,
        bytes: first.bytes.start..last.bytes.end,
        tokens: first.tokens.start..last.tokens.end,
    }
}

/// From the start of the first token to the end of the last.
fn span(tokens: &[TaggedToken]) -> Range<usize> {
    match tokens {
        [first, .., last] => first.bytes.start..last.bytes.end,
        [only] => only.bytes.clone(),
        [] => 0..0,
    }
}

#[cfg(test)]
#[path = "tag_tests.rs"]
mod tests;
