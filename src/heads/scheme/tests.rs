//! Tests of [`super`].

use super::*;
use Place::{Beginning, End, Inside, Outside, Single};

/// Checks the parts of each label in a set.
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
