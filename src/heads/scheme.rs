//! Reads the position of a word in an entity from labels such as `B-PER`, `S-PER` or `PER-B`.
//!
//! A single label does not tell whether its letter is a position: `B-PER` begins a PER, but `B-cell` beside `T-cell` is
//! a name. So the scheme is inferred from all labels of a model or a file. No letter has different meanings in the
//! known schemes, so labels of several schemes can be mixed: BIO (IOB1 and IOB2), BIOES, BILOU, BMES and BMEWO.

use std::collections::{BTreeMap, BTreeSet};

/// A word's position in its entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first word of an entity.
    Beginning,
    /// Continues the entity before it; starts an entity if there is none.
    Inside,
    /// Like `Inside`, and the last word of the entity.
    End,
    /// An entity of one word.
    Single,
    /// Not in an entity.
    Outside,
}

/// The two parts of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'l> {
    pub place: Place,
    /// The kind of entity.
    pub kind: &'l str,
}

/// The label of words outside of all entities.
pub const OUTSIDE: &str = "O";

/// The kind of entities whose labels are only letters: `B`, `I` and `O`.
const NO_KIND: &str = "_";

/// Groups of letters. If one letter of a group is a position, so are the others.
const LETTERS: [(u8, [u8; 2]); 4] = [
    (0b0001, [b'B', b'I']),
    (0b0010, [b'E', b'S']),
    (0b0100, [b'L', b'U']),
    (0b1000, [b'M', b'W']),
];

/// The format of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LabelForm {
    /// Names without positions.
    #[default]
    Names,
    /// Letters without names.
    Letters,
    /// `B-PER`.
    Prefix(char),
    /// `PER-B`.
    Suffix(char),
}

/// The formats to look for. Of equally good ones, the first is used.
const FORMS: [LabelForm; 6] = [
    LabelForm::Prefix('-'),
    LabelForm::Suffix('-'),
    LabelForm::Prefix('_'),
    LabelForm::Suffix('_'),
    LabelForm::Prefix(':'),
    LabelForm::Suffix(':'),
];

/// The scheme of a set of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheme {
    form: LabelForm,
    /// Bits of the [`LETTERS`] groups that are positions.
    letters: u8,
}

impl Scheme {
    /// Infers the scheme of a set of labels; labels that do not follow it are whole names.
    pub fn of<'l>(labels: impl IntoIterator<Item = &'l str>) -> Self {
        let labels: BTreeSet<&str> = labels
            .into_iter()
            .filter(|label| *label != OUTSIDE)
            .collect();
        if labels.contains("B")
            && labels.contains("I")
            && labels.iter().all(|label| letter_of(label).is_some())
        {
            let letters = labels.iter().filter_map(|label| letter_of(label));
            return Self {
                form: LabelForm::Letters,
                letters: letters.fold(0, |letters, letter| letters | group_of(letter)),
            };
        }
        let mut best = (0, Self::default());
        for form in FORMS {
            let scheme = Self {
                form,
                letters: form.letters(&labels),
            };
            let covered = labels.iter().filter(|label| scheme.covers(label)).count();
            if covered > best.0 {
                best = (covered, scheme);
            }
        }
        best.1
    }

    /// Whether a label's letter is a position.
    fn covers(self, label: &str) -> bool {
        self.form
            .split(label)
            .is_some_and(|(letter, _)| self.letters & group_of(letter) != 0)
    }

    /// Infers the scheme of a file's tags, of which only few may occur. If the labels of the model that predicts them
    /// explain more of the tags, these labels are included.
    pub fn of_data<'l>(
        tags: impl IntoIterator<Item = &'l str>,
        labels: impl IntoIterator<Item = &'l str>,
    ) -> Self {
        let tags: BTreeSet<&str> = tags.into_iter().collect();
        let alone = Self::of(tags.iter().copied());
        let beside = Self::of(tags.iter().copied().chain(labels));
        let covered = |scheme: Self| tags.iter().filter(|tag| scheme.covers(tag)).count();
        if covered(beside) > covered(alone) {
            beside
        } else {
            alone
        }
    }

    /// Splits a label. One without a position counts as `Inside`, as in transformers.
    #[must_use]
    pub fn tag(self, label: &str) -> Tag<'_> {
        if label == OUTSIDE {
            return Tag {
                place: Place::Outside,
                kind: label,
            };
        }
        let split = self.form.split(label);
        match split.filter(|(letter, _)| self.letters & group_of(*letter) != 0) {
            Some((letter, kind)) => Tag {
                place: place_of(letter),
                kind,
            },
            None => Tag {
                place: Place::Inside,
                kind: label,
            },
        }
    }
}

impl Tag<'_> {
    /// Whether an entity starts at this tag, given the tag before it, by the rules of conlleval and seqeval. An inside
    /// or end tag after another kind, or after none, also starts an entity.
    #[must_use]
    pub fn starts(self, previous: Option<Tag<'_>>) -> bool {
        use Place::{Beginning, End, Inside, Outside, Single};
        let Some(previous) = previous else {
            return self.place != Outside;
        };
        match (previous.place, self.place) {
            (_, Outside) => false,
            (_, Beginning | Single) | (End | Single | Outside, End | Inside) => true,
            (Beginning | Inside, End | Inside) => previous.kind != self.kind,
        }
    }
}

impl LabelForm {
    /// Splits a label into its letter and kind, if it has a letter.
    fn split(self, label: &str) -> Option<(u8, &str)> {
        match self {
            Self::Names => None,
            Self::Letters => letter_of(label).map(|letter| (letter, NO_KIND)),
            Self::Prefix(separator) => {
                let (letter, kind) = label.split_once(separator)?;
                letter_of(letter).map(|letter| (letter, kind))
            }
            Self::Suffix(separator) => {
                let (kind, letter) = label.rsplit_once(separator)?;
                letter_of(letter).map(|letter| (letter, kind))
            }
        }
        .filter(|(_, kind)| !kind.is_empty())
    }

    /// The letters that are positions in this format. A letter is one if its kind also occurs with another letter, and
    /// one of the two means that the kind may have several words (`U-Bahn` and `S-Bahn` are names). If no kind has two
    /// letters, `B-` and `I-` are positions if no other label has a hyphen, because small sets may contain `B-X` alone.
    fn letters(self, labels: &BTreeSet<&str>) -> u8 {
        let mut by_kind: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for (letter, kind) in labels.iter().filter_map(|label| self.split(label)) {
            by_kind.entry(kind).or_default().push(letter);
        }
        let goes_on = |letter: &u8| matches!(letter, b'B' | b'I' | b'M');
        let shared = by_kind
            .values()
            .filter(|letters| letters.len() > 1 && letters.iter().any(goes_on));
        let letters = shared
            .flatten()
            .fold(0, |letters, letter| letters | group_of(*letter));
        // Beside another scheme's letters, `B` and `I` are positions too.
        if letters != 0 {
            return letters | LETTERS[0].0;
        }
        let is_bio = |label: &&str| {
            let split = self.split(label);
            split.is_some_and(|(letter, _)| matches!(letter, b'B' | b'I'))
        };
        let mut hyphenated = labels.iter().filter(|label| label.contains('-'));
        if self == Self::Prefix('-') && hyphenated.all(is_bio) {
            return LETTERS[0].0;
        }
        0
    }
}

/// The position letter that a part of a label consists of.
fn letter_of(part: &str) -> Option<u8> {
    match part.as_bytes() {
        [letter] if group_of(*letter) != 0 => Some(*letter),
        _ => None,
    }
}

/// The bit of a letter's group; 0 for other letters.
fn group_of(letter: u8) -> u8 {
    let group = LETTERS
        .iter()
        .find(|(_, letters)| letters.contains(&letter));
    group.map_or(0, |(bit, _)| *bit)
}

fn place_of(letter: u8) -> Place {
    match letter {
        b'B' => Place::Beginning,
        b'E' | b'L' => Place::End,
        b'S' | b'U' | b'W' => Place::Single,
        _ => Place::Inside,
    }
}

#[cfg(test)]
mod tests;
