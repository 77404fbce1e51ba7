//! Chunks of tagged words, and how many of them are right, as `conlleval` and seqeval's default mode count them.
//!
//! A chunk starts at `B-`, and also at an `I-` after another type or after `O`. This reads both IOB1 and IOB2
//! correctly, and any tags that no scheme allows but a model may return. The data and the model may use different
//! schemes, because chunks are compared, not tags.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::{AnswersFound, ratio};
use crate::eval::scores::{Score, Scores, count, share};
use crate::heads::scheme::{Place, Scheme};

/// Counts of gold and predicted chunks over sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkCounts {
    gold: Scheme,
    predicted: Scheme,
    words: usize,
    right_tags: usize,
    by_type: BTreeMap<String, AnswersFound>,
}

impl ChunkCounts {
    /// Empty counts. `gold` and `predicted` are the schemes of the tags to be added.
    #[must_use]
    pub fn new(gold: Scheme, predicted: Scheme) -> Self {
        Self {
            gold,
            predicted,
            words: 0,
            right_tags: 0,
            by_type: BTreeMap::new(),
        }
    }

    /// Counts one sentence, with one gold and one predicted tag per word.
    pub fn add(&mut self, gold_tags: &[String], predicted_tags: &[String]) {
        let gold = chunks(gold_tags, self.gold);
        let predicted = chunks(predicted_tags, self.predicted);
        self.words += gold_tags.len();
        self.right_tags += if self.gold == self.predicted {
            let pairs = gold_tags.iter().zip(predicted_tags);
            pairs.filter(|(gold, predicted)| gold == predicted).count()
        } else {
            let gold = plain_tags(gold_tags.len(), &gold);
            let predicted = plain_tags(predicted_tags.len(), &predicted);
            let pairs = gold.iter().zip(&predicted);
            pairs.filter(|(gold, predicted)| gold == predicted).count()
        };
        let (gold, predicted): (HashSet<_>, HashSet<_>) =
            (gold.into_iter().collect(), predicted.into_iter().collect());
        for chunk in &gold {
            self.of(chunk.kind).gold += 1;
        }
        for chunk in &predicted {
            let found = self.of(chunk.kind);
            found.predicted += 1;
            found.correct += usize::from(gold.contains(chunk));
        }
    }

    /// Over all types.
    #[must_use]
    pub fn overall(&self) -> AnswersFound {
        let add = |sum: AnswersFound, found: &AnswersFound| AnswersFound {
            gold: sum.gold + found.gold,
            predicted: sum.predicted + found.predicted,
            correct: sum.correct + found.correct,
        };
        self.by_type.values().fold(AnswersFound::default(), add)
    }

    #[must_use]
    pub fn by_type(&self) -> &BTreeMap<String, AnswersFound> {
        &self.by_type
    }

    /// The share of words with the right tag.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.right_tags, self.words)
    }

    #[must_use]
    pub fn scores(&self) -> Scores {
        let of_type = |(kind, found): (&String, &AnswersFound)| {
            let mut scores: Vec<Score> = found.scores().to_vec();
            scores.push(count("chunks", found.gold));
            (kind.clone(), scores)
        };
        let found = self.overall();
        let mut overall = vec![count("words", self.words), count("chunks", found.gold)];
        overall.extend(found.scores());
        overall.push(share("accuracy", self.accuracy()));
        Scores {
            overall,
            by_label: self.by_type.iter().map(of_type).collect(),
        }
    }

    fn of(&mut self, kind: &str) -> &mut AnswersFound {
        if !self.by_type.contains_key(kind) {
            self.by_type
                .insert(kind.to_owned(), AnswersFound::default());
        }
        self.by_type.entry(kind.to_owned()).or_default()
    }
}

/// Consecutive words with one type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chunk<'a> {
    /// The part of the tag after its hyphen.
    pub kind: &'a str,
    /// Indices of its words.
    pub words: Range<usize>,
}

/// The chunks of a sentence's tags, in order. A tag that continues no chunk starts one.
#[must_use]
pub fn chunks(tags: &[String], scheme: Scheme) -> Vec<Chunk<'_>> {
    let mut found: Vec<Chunk<'_>> = Vec::new();
    let mut previous = None;
    for (word, tag) in tags.iter().map(|tag| scheme.tag(tag)).enumerate() {
        if tag.starts(previous) {
            found.push(Chunk {
                kind: tag.kind,
                words: word..word + 1,
            });
        } else if let (Some(open), true) = (found.last_mut(), tag.place != Place::Outside) {
            open.words.end = word + 1;
        }
        previous = Some(tag);
    }
    found
}

/// Converts chunks of a sentence with `words` words to IOB2 tags, in which tags of different schemes are compared.
fn plain_tags<'c>(words: usize, chunks: &[Chunk<'c>]) -> Vec<Option<(bool, &'c str)>> {
    let mut tags = vec![None; words];
    for chunk in chunks {
        for word in chunk.words.clone() {
            tags[word] = Some((word == chunk.words.start, chunk.kind));
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::golden;

    fn scheme(tags: &[Vec<String>]) -> Scheme {
        Scheme::of(tags.iter().flatten().map(String::as_str))
    }

    fn counts_of(gold: &[Vec<String>], predicted: &[Vec<String>]) -> ChunkCounts {
        let both = scheme(&[gold, predicted].concat());
        ChunkCounts::new(both, both)
    }

    #[test]
    fn chunks_are_scored_as_by_seqeval() {
        for case in golden::cases("chunks") {
            let gold: Vec<Vec<String>> = golden::read(&case["gold"]);
            let predicted: Vec<Vec<String>> = golden::read(&case["predicted"]);
            let mut counts = counts_of(&gold, &predicted);
            for (gold, predicted) in gold.iter().zip(&predicted) {
                counts.add(gold, predicted);
            }
            let overall = counts.overall();
            for (name, found) in [
                ("precision", overall.precision()),
                ("recall", overall.recall()),
                ("f1", overall.f1()),
                ("accuracy", counts.accuracy()),
            ] {
                golden::assert_near(Some(found), &case[name], &format!("{name} of {case}"));
            }
            let by_type = case["by_type"].as_object().unwrap();
            assert_eq!(counts.by_type().len(), by_type.len(), "{case}");
            for (kind, wanted) in by_type {
                golden::assert_near(Some(counts.by_type()[kind].f1()), wanted, kind);
            }
        }
    }

    #[test]
    fn the_chunks_of_every_scheme_are_scored_alike() {
        for case in golden::cases("schemes") {
            let gold: Vec<Vec<String>> = golden::read(&case["gold"]);
            let predicted: Vec<Vec<String>> = golden::read(&case["predicted"]);
            let mut counts = ChunkCounts::new(scheme(&gold), scheme(&predicted));
            for (gold, predicted) in gold.iter().zip(&predicted) {
                counts.add(gold, predicted);
            }
            let overall = counts.overall();
            for (name, found) in [
                ("precision", overall.precision()),
                ("recall", overall.recall()),
                ("f1", overall.f1()),
            ] {
                golden::assert_near(Some(found), &case[name], &format!("{name} of {case}"));
            }
        }
    }

    #[test]
    fn tags_of_two_schemes_are_right_where_they_say_the_same() {
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let gold = tags(&["B-X", "E-X", "O", "S-X", "B-Y", "I-Y", "E-Y"]);
        let predicted = tags(&["B-X", "I-X", "O", "B-X", "B-Y", "B-Y", "I-Y"]);
        let of = |tags: &Vec<String>| scheme(std::slice::from_ref(tags));
        let accuracy = |gold: &Vec<String>, predicted: &Vec<String>| {
            let mut counts = ChunkCounts::new(of(gold), of(predicted));
            counts.add(gold, predicted);
            counts.accuracy()
        };
        assert!((accuracy(&gold, &predicted) - 6.0 / 7.0).abs() < 1e-9);
        assert!((accuracy(&gold, &gold) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn labels_without_a_prefix_make_chunks_of_their_runs() {
        let tags = ["PER", "PER", "O", "LOC", "PER"].map(str::to_owned);
        let chunk = |kind, words| Chunk { kind, words };
        assert_eq!(
            chunks(&tags, Scheme::default()),
            [chunk("PER", 0..2), chunk("LOC", 3..4), chunk("PER", 4..5)]
        );
    }
}
