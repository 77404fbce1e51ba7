//! Tags of words as chunks, and how many of the chunks are right, as `conlleval` and seqeval's default mode read them.
//!
//! A chunk starts at `B-`, but also at an `I-` that follows another type or none: data tagged either way, IOB1 or IOB2, is
//! read right, and so is what a model gives that no scheme allows. `E-` ends a chunk and `S-` is one by itself.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::{Found, ratio};
use crate::eval::scores::{Score, Scores, count, share};

/// Sentences' chunks as they are and as they were predicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkCounts {
    words: usize,
    right_tags: usize,
    by_type: BTreeMap<String, Found>,
}

impl ChunkCounts {
    /// Counts a sentence: a true and a predicted tag a word.
    pub fn add(&mut self, gold: &[String], predicted: &[String]) {
        let same = gold
            .iter()
            .zip(predicted)
            .filter(|(gold, predicted)| gold == predicted);
        self.words += gold.len();
        self.right_tags += same.count();
        let (gold, predicted): (HashSet<_>, HashSet<_>) = (
            chunks(gold).into_iter().collect(),
            chunks(predicted).into_iter().collect(),
        );
        for chunk in &gold {
            self.of(chunk.kind).gold += 1;
        }
        for chunk in &predicted {
            let found = self.of(chunk.kind);
            found.predicted += 1;
            found.correct += usize::from(gold.contains(chunk));
        }
    }

    /// All chunks together.
    #[must_use]
    pub fn overall(&self) -> Found {
        let add = |sum: Found, found: &Found| Found {
            gold: sum.gold + found.gold,
            predicted: sum.predicted + found.predicted,
            correct: sum.correct + found.correct,
        };
        self.by_type.values().fold(Found::default(), add)
    }

    /// The chunks of each type.
    #[must_use]
    pub fn by_type(&self) -> &BTreeMap<String, Found> {
        &self.by_type
    }

    /// The share of words with the right tag.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.right_tags, self.words)
    }

    /// All of it.
    #[must_use]
    pub fn scores(&self) -> Scores {
        let of_type = |(kind, found): (&String, &Found)| {
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

    fn of(&mut self, kind: &str) -> &mut Found {
        if !self.by_type.contains_key(kind) {
            self.by_type.insert(kind.to_owned(), Found::default());
        }
        self.by_type.entry(kind.to_owned()).or_default()
    }
}

/// Words that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chunk<'a> {
    /// What the tag says after its hyphen.
    pub kind: &'a str,
    /// Its words.
    pub words: Range<usize>,
}

/// The chunks of a sentence's tags, in order.
#[must_use]
pub fn chunks(tags: &[String]) -> Vec<Chunk<'_>> {
    let mut found: Vec<Chunk<'_>> = Vec::new();
    let mut open: Option<Chunk<'_>> = None;
    let mut previous = Tag::OUTSIDE;
    for (word, tag) in tags.iter().map(|tag| Tag::of(tag)).enumerate() {
        if tag.ends(previous) {
            found.extend(open.take());
        }
        if tag.starts(previous) {
            open = Some(Chunk {
                kind: tag.kind,
                words: word..word,
            });
        }
        if let Some(open) = &mut open {
            open.words.end = word + 1;
        }
        previous = tag;
    }
    found.extend(open);
    found
}

/// A tag's two parts.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    place: Place,
    kind: &'a str,
}

/// A word's place in its chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Beginning,
    Inside,
    End,
    Single,
    Outside,
}

impl<'a> Tag<'a> {
    const OUTSIDE: Tag<'static> = Tag {
        place: Place::Outside,
        kind: "",
    };

    /// A tag without a prefix counts as `I-`, as in answers to /tag.
    fn of(tag: &'a str) -> Self {
        let (prefix, kind) = tag.split_once('-').unwrap_or((tag, "_"));
        let place = match prefix {
            "O" => return Self::OUTSIDE,
            "B" => Place::Beginning,
            "I" => Place::Inside,
            "E" => Place::End,
            "S" => Place::Single,
            _ => {
                return Self {
                    place: Place::Inside,
                    kind: tag,
                };
            }
        };
        Self { place, kind }
    }

    /// Whether a chunk that may be open ends before this tag.
    fn ends(self, previous: Tag<'_>) -> bool {
        use Place::{Beginning, End, Inside, Outside, Single};
        match (previous.place, self.place) {
            (End | Single, _) | (Beginning | Inside, Beginning | Single | Outside) => true,
            (Outside, _) => false,
            _ => previous.kind != self.kind,
        }
    }

    /// Whether a chunk starts at this tag.
    fn starts(self, previous: Tag<'_>) -> bool {
        use Place::{Beginning, End, Inside, Outside, Single};
        match (previous.place, self.place) {
            (_, Outside) => false,
            (_, Beginning | Single) | (End | Single | Outside, End | Inside) => true,
            _ => previous.kind != self.kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::golden;

    #[test]
    fn chunks_are_scored_as_by_seqeval() {
        for case in golden::cases("chunks") {
            let gold: Vec<Vec<String>> = golden::read(&case["gold"]);
            let predicted: Vec<Vec<String>> = golden::read(&case["predicted"]);
            let mut counts = ChunkCounts::default();
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
    fn labels_without_a_prefix_make_chunks_of_their_runs() {
        let tags = ["PER", "PER", "O", "LOC", "PER"].map(str::to_owned);
        let chunk = |kind, words| Chunk { kind, words };
        assert_eq!(
            chunks(&tags),
            [chunk("PER", 0..2), chunk("LOC", 3..4), chunk("PER", 4..5)]
        );
    }
}
