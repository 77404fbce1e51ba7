//! What labels of tokens say of a word's place in an entity: `B-PER`, `S-PER`, `PER-B`.
//!
//! Which of a label's letters say so is not told by one label: `B-PER` begins a PER, and `B-cell` beside `T-cell` is a
//! name. The labels of a model or a file as a whole tell. The known schemes never give one letter two meanings, so that
//! labels of several can be read together: BIO (IOB1 and IOB2), BIOES, BILOU, BMES and BMEWO.

use std::collections::{BTreeMap, BTreeSet};

/// A word's place in its entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It starts one.
    Beginning,
    /// It goes on with the one before it, or starts one where there is none.
    Inside,
    /// As inside, and it is the last.
    End,
    /// It is one by itself.
    Single,
    /// It is in none.
    Outside,
}

/// A label's two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'l> {
    /// The place it says.
    pub place: Place,
    /// What the entity is.
    pub kind: &'l str,
}

/// The label of words in no entity.
pub const OUTSIDE: &str = "O";

/// What entities are where labels are letters alone, `B`, `I` and `O`.
const NO_KIND: &str = "_";

/// The letters that belong together: where one of them is a place, so are the others.
const LETTERS: [(u8, [u8; 2]); 4] = [
    (0b0001, [b'B', b'I']),
    (0b0010, [b'E', b'S']),
    (0b0100, [b'L', b'U']),
    (0b1000, [b'M', b'W']),
];

/// How labels are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// Each is a name.
    #[default]
    Names,
    /// Each is a letter.
    Letters,
    /// `B-PER`.
    Prefix(char),
    /// `PER-B`.
    Suffix(char),
}

/// The forms that are looked for; of several that fit as well the first counts.
const FORMS: [Form; 6] = [
    Form::Prefix('-'),
    Form::Suffix('-'),
    Form::Prefix('_'),
    Form::Suffix('_'),
    Form::Prefix(':'),
    Form::Suffix(':'),
];

/// How the labels of a set tell places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheme {
    form: Form,
    /// Which of [`LETTERS`] are places.
    letters: u8,
}

impl Scheme {
    /// The scheme of a set of labels; labels that are outside it are whole names.
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
                form: Form::Letters,
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

    /// Whether a label tells a place by its letter.
    fn covers(self, label: &str) -> bool {
        self.form
            .split(label)
            .is_some_and(|(letter, _)| self.letters & group_of(letter) != 0)
    }

    /// The scheme of a file's tags, of which few may be seen: where the labels of a model that is to say such tags explain
    /// more of them, those count too.
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

    /// A label's parts. One that tells no place counts as inside, as for transformers.
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
    /// Whether an entity starts at this tag, given the one before it, as conlleval and seqeval read tags: an inside or
    /// end that follows another kind, or nothing, starts one as well.
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

impl Form {
    /// A label's letter and kind, where it has a letter.
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

    /// The letters that are places in this form: those that stand with one kind beside another letter, of which one says
    /// that the kind may have several words (`U-Bahn` and `S-Bahn` are names). Where no kind has two, `B-` and `I-` are
    /// places if no other label has a hyphen: few words make sets such as `B-X` alone.
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
        // Beside another scheme's letters these two have their meaning too.
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

/// The letter that a part of a label is.
fn letter_of(part: &str) -> Option<u8> {
    match part.as_bytes() {
        [letter] if group_of(*letter) != 0 => Some(*letter),
        _ => None,
    }
}

/// The bit of the letters that a letter belongs with; 0 for others.
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
mod tests {
    use super::*;
    use Place::{Beginning, End, Inside, Outside, Single};

    /// Reads a set of labels: what each of them says.
    fn check(labels: &[(&str, Place, &str)]) {
        let scheme = Scheme::of(labels.iter().map(|(label, ..)| *label));
        for &(label, place, kind) in labels {
            assert_eq!(
                scheme.tag(label),
                Tag { place, kind },
                "{label} of {labels:?}"
            );
        }
    }

    #[test]
    fn a_set_of_labels_has_one_scheme() {
        check(&[
            ("O", Outside, "O"),
            ("B-PER", Beginning, "PER"),
            ("I-PER", Inside, "PER"),
        ]);
        check(&[("I-PER", Inside, "PER"), ("I-LOC", Inside, "LOC")]);
        check(&[("B-X", Beginning, "X"), ("O", Outside, "O")]);
        check(&[("B-A-B", Beginning, "A-B"), ("I-A-B", Inside, "A-B")]);
        check(&[
            ("B-PER", Beginning, "PER"),
            ("I-PER", Inside, "PER"),
            ("E-PER", End, "PER"),
            ("S-PER", Single, "PER"),
            ("S-ADDRESS", Single, "ADDRESS"),
            ("B-LOC", Beginning, "LOC"),
        ]);
        check(&[
            ("B-PER", Beginning, "PER"),
            ("I-PER", Inside, "PER"),
            ("L-PER", End, "PER"),
            ("U-PER", Single, "PER"),
        ]);
        check(&[
            ("B-PER", Beginning, "PER"),
            ("M-PER", Inside, "PER"),
            ("E-PER", End, "PER"),
            ("S-PER", Single, "PER"),
        ]);
        check(&[("E-PER", End, "PER"), ("I-PER", Inside, "PER")]);
        check(&[
            ("S-X", Single, "X"),
            ("B-X", Beginning, "X"),
            ("O", Outside, "O"),
        ]);
    }

    #[test]
    fn what_is_no_prefix_of_a_scheme_is_part_of_the_name() {
        check(&[
            ("Drug-Dose", Inside, "Drug-Dose"),
            ("Drug", Inside, "Drug"),
            ("O", Outside, "O"),
        ]);
        check(&[("B-cell", Inside, "B-cell"), ("T-cell", Inside, "T-cell")]);
        check(&[
            ("B-PER", Beginning, "PER"),
            ("I-PER", Inside, "PER"),
            ("E-MAIL", Inside, "E-MAIL"),
            ("U-BOAT", Inside, "U-BOAT"),
        ]);
        check(&[
            ("B-PER", Beginning, "PER"),
            ("I-PER", Inside, "PER"),
            ("MISC", Inside, "MISC"),
            ("X-Y-Z", Inside, "X-Y-Z"),
        ]);
        check(&[("S-BAHN", Inside, "S-BAHN"), ("U-BAHN", Inside, "U-BAHN")]);
        check(&[
            ("NN", Inside, "NN"),
            ("B", Inside, "B"),
            ("-LRB-", Inside, "-LRB-"),
        ]);
        check(&[("B-", Inside, "B-"), ("I-", Inside, "I-")]);
        check(&[
            ("LABEL_0", Inside, "LABEL_0"),
            ("VITAMIN_B", Inside, "VITAMIN_B"),
        ]);
    }

    #[test]
    fn few_tags_are_read_with_the_labels_of_a_model() {
        let labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
        let kind = |tags: &[&str], tag| {
            let tags = tags.iter().copied();
            Scheme::of_data(tags, labels).tag(tag)
        };
        for (tags, tag, place) in [
            (&["O", "S-PER"][..], "S-PER", Single),
            (&["U-PER", "O"], "U-PER", Single),
            (&["PER-B", "PER-I"], "PER-I", Inside),
            (&["I-PER"], "I-PER", Inside),
        ] {
            assert_eq!(kind(tags, tag), Tag { place, kind: "PER" }, "{tags:?}");
        }
        assert_eq!(kind(&["Drug-Dose"], "Drug-Dose").kind, "Drug-Dose");
    }

    #[test]
    fn places_stand_behind_or_alone_as_well() {
        check(&[
            ("O", Outside, "O"),
            ("PER-B", Beginning, "PER"),
            ("PER-I", Inside, "PER"),
        ]);
        check(&[("B_PER", Beginning, "PER"), ("I_PER", Inside, "PER")]);
        check(&[
            ("LOC_CITY_B", Beginning, "LOC_CITY"),
            ("LOC_CITY_I", Inside, "LOC_CITY"),
        ]);
        check(&[
            ("O", Outside, "O"),
            ("B", Beginning, "_"),
            ("I", Inside, "_"),
        ]);
        check(&[("A", Inside, "A"), ("B", Inside, "B"), ("I", Inside, "I")]);
        check(&[]);
    }
}
