//! Token tagging: groups labelled tokens into entities, with the strategies of transformers' token-classification
//! pipeline (4.57). Neighbours are joined by the pipeline's rules or by the labels' scheme.

use std::ops::Range;

use super::scheme::{Place, Scheme};
use super::softmax;
use crate::fields::Aggregation;

/// The rule that joins neighbouring tokens into an entity and names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// The rule of transformers' pipeline, which knows `B-` and `I-`. An entity is named by the part of its label after
    /// the first hyphen.
    Pipeline,
    /// The rule of the labels' scheme.
    Scheme(Scheme),
}

/// A token of a text; special tokens are left out.
#[derive(Clone, Debug)]
pub struct TaggedToken<'a> {
    /// One logit per label.
    pub logits: &'a [f32],
    /// The token's byte range in the text.
    pub bytes: Range<usize>,
    /// Whether it belongs to the same word as the token before it.
    pub continues_word: bool,
}

/// A labelled part of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity<'l> {
    /// The whole label for [`Aggregation::None`], otherwise the name by the grouping.
    pub label: &'l str,
    /// Mean probability of its words or tokens, 0 to 1.
    pub score: f32,
    /// Byte range in the text, from the start of the first token to the end of the last.
    pub bytes: Range<usize>,
    /// The entity's tokens, as indices into the given tokens.
    pub tokens: Range<usize>,
}

/// Returns the entities of a text in reading order, except those whose label is in `ignored` (by default `O`).
///
/// `labels[i]` is the name of logit `i`. As in the pipeline, labels are ignored only after tokens have been joined.
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

/// Whether transformers' pipeline takes a token as the continuation of a word: the lengths of its piece (`##ing`) and
/// of its text differ, in code points. Unknown tokens never count as continuations.
///
/// This is only a guess: a whole word whose accent was stripped also looks like a continuation. Where parity is not
/// needed, the tokenizer's own word indices are better.
#[must_use]
pub fn looks_like_continuation(piece: &str, surface: &str, is_unknown: bool) -> bool {
    !is_unknown && piece.chars().count() != surface.chars().count()
}

/// The tokens of each word. For strategies without words, each token is one.
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

/// The label that the tokens of a word agree on, and its probability.
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

/// The highest value and its index; the first of equal ones.
fn highest(values: &[f32]) -> Option<(usize, f32)> {
    values
        .iter()
        .copied()
        .enumerate()
        .reduce(|best, value| if value.1 > best.1 { value } else { best })
}

impl Grouping {
    /// Whether a token or word labelled `next` continues the entity of the one labelled `last`.
    fn joins(self, last: &str, next: &str, continues_word: bool) -> bool {
        match self {
            // The same tag without `B-`. A label without a prefix counts as `I-`.
            Self::Pipeline => !next.starts_with("B-") && tag(last) == tag(next),
            Self::Scheme(scheme) => {
                let (before, tag) = (scheme.tag(last), scheme.tag(next));
                // All tokens of a word may have its label, even if that ends an entity or is a whole one.
                let same_word = continues_word && matches!(tag.place, Place::End | Place::Single);
                match tag.place {
                    Place::Outside => before.place == Place::Outside,
                    _ => !tag.starts(Some(before)) || (same_word && before == tag),
                }
            }
        }
    }

    /// The name of an entity whose first label is `label`.
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

/// Joins adjacent words into one entity.
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
mod tests;
