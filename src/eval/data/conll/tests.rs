//! Reading column files as they occur in practice.

use super::*;

fn words(text: &str, options: &ColumnOptions) -> Vec<(usize, String, String)> {
    let sentences = read(text, options).unwrap_or_else(|error| panic!("{text}: {error}"));
    sentences
        .into_iter()
        .map(|sentence| {
            (
                sentence.line,
                sentence.words.join("|"),
                sentence.tags.join(" "),
            )
        })
        .collect()
}

/// Reads a file with detected options, and compares the lines, words and tags of its sentences.
fn check(text: &str, expected: &[(usize, &str, &str)]) {
    check_with(&ColumnOptions::default(), text, expected);
}

fn check_with(options: &ColumnOptions, text: &str, expected: &[(usize, &str, &str)]) {
    let owned = |(line, words, tags): &(usize, &str, &str)| {
        (*line, (*words).to_owned(), (*tags).to_owned())
    };
    let expected: Vec<_> = expected.iter().map(owned).collect();
    assert_eq!(words(text, options), expected, "{text}");
}

fn refused(options: &ColumnOptions, text: &str, line: usize, reason: &str) {
    let error = read(text, options).unwrap_err();
    assert_eq!(error.line, line, "{text}: {error}");
    assert!(error.reason.contains(reason), "{text}: {error}");
}

fn label_column(number: &str) -> ColumnOptions {
    ColumnOptions {
        label: Some(number.parse().unwrap()),
        ..ColumnOptions::default()
    }
}

fn comments(are_comments: bool) -> ColumnOptions {
    ColumnOptions {
        comments: Some(are_comments),
        ..ColumnOptions::default()
    }
}

fn separator(separator: &str) -> ColumnOptions {
    ColumnOptions {
        separator: Some(separator.parse().unwrap()),
        ..ColumnOptions::default()
    }
}

#[test]
fn sentences_end_at_empty_lines_and_documents() {
    let text =
        "-DOCSTART- -X- O O\n\nHe PRP B-NP\nran VBD B-VP\n \nYes\tUH\tO\n-DOCSTART- -X- O\nNo UH O";
    check(
        text,
        &[(3, "He|ran", "B-NP B-VP"), (6, "Yes", "O"), (8, "No", "O")],
    );
    let options = ColumnOptions {
        text: Some("1".parse().unwrap()),
        ..label_column("2")
    };
    assert_eq!(words(text, &options)[0].2, "PRP VBD");
}

#[test]
fn tabs_keep_spaces_in_words() {
    check(
        "New York\tB-LOC\n10\u{a0}000\tO\n",
        &[(1, "New York|10\u{a0}000", "B-LOC O")],
    );
    check(
        "New York \tNNP\tB-LOC\r\nis\tVBZ\tO\t\r\n",
        &[(1, "New York|is", "B-LOC O")],
    );
    check("10\u{a0}000 O\n", &[(1, "10\u{a0}000", "O")]);
    check(
        "-DOCSTART- -X- O O\n\nNew York\tB-LOC\n",
        &[(3, "New York", "B-LOC")],
    );
    // One line has no tab, so all are split at white space, and this one has a column too many.
    refused(
        &ColumnOptions::default(),
        "is O\nNew York\tB-LOC\n",
        2,
        "3 columns",
    );
    refused(
        &ColumnOptions::default(),
        "New York B-LOC\nis O\n",
        2,
        "--separator",
    );
    check_with(
        &separator("tab"),
        "is\tO\nNew York\tB-LOC\n",
        &[(1, "is|New York", "O B-LOC")],
    );
    check_with(
        &separator("space"),
        "a\t\tO\nlong\tO\n",
        &[(1, "a|long", "O O")],
    );
    check_with(
        &separator(","),
        "New York,B-LOC\n",
        &[(1, "New York", "B-LOC")],
    );
}

#[test]
fn comments_are_told_from_words() {
    // MultiCoNER, and others.
    check(
        "# sent_id = 1\n# text = He ran to # 5 now\nHe\tO\nran\tO\n\n# text = No\nNo\tO\n",
        &[(3, "He|ran", "O O"), (7, "No", "O")],
    );
    check(
        "# id 5628d2b1-98c2\tdomain=en\nit _ _ O\nsung _ _ B-PER\n\n# id 77\tdomain=en\nno _ _ O\n",
        &[(2, "it|sung", "O B-PER"), (6, "no", "O")],
    );
    check("# nothing\nHe PRP O\n", &[(2, "He", "O")]);
    // A word that begins with # has a tag like any other.
    check("#fun O\n# O\nrun O\n", &[(1, "#fun|#|run", "O O O")]);
    check("He B-NP\n# domain=en\n", &[(1, "He|#", "B-NP domain=en")]);
    check(
        "So O\n#fun B-TAG\n\n#run B-TAG\n",
        &[(1, "So|#fun", "O B-TAG"), (4, "#run", "B-TAG")],
    );
    // An ambiguous line is refused, and the flag resolves it.
    let unclear = "#fun B-TAG\nHe O\n";
    refused(&ColumnOptions::default(), unclear, 1, "--comments off");
    check_with(&comments(false), unclear, &[(1, "#fun|He", "B-TAG O")]);
    check_with(&comments(true), unclear, &[(2, "He", "O")]);
    check_with(&comments(true), "#fun O\nHe O\n", &[(2, "He", "O")]);
    check("#fun O\n", &[(1, "#fun", "O")]);
}

#[test]
fn comments_of_another_width_are_told_from_words_or_refused() {
    let auto = ColumnOptions::default();
    let wide = "# The man ran B-NP\nThe B-NP\nman I-NP\n";
    refused(
        &auto,
        wide,
        1,
        "5 columns where other lines have 2; use --comments on",
    );
    check_with(&comments(true), wide, &[(2, "The|man", "B-NP I-NP")]);
    refused(&comments(false), wide, 1, "--comments on");
    refused(&auto, "#text The man\nThe B-NP\n", 1, "--comments on");
    let later = "The B-NP\n\n# The man ran B-NP\nman I-NP\n";
    refused(&auto, later, 3, "--comments on");
    refused(
        &label_column("2"),
        "# B-NP was that\nThe B-NP\n",
        1,
        "--comments on",
    );
    // With tabs and the tag's column given, sentences may have any width.
    check_with(
        &label_column("2"),
        "#fun\tB-NP\tx\nThe\tB-NP\n",
        &[(1, "#fun|The", "B-NP B-NP")],
    );
    check("# id 7 of\tdomain=en\nThe B-NP\n", &[(2, "The", "B-NP")]);
    // There are no comments within a sentence.
    refused(&auto, "The B-NP\n# The man\n", 2, "3 columns");
}

#[test]
fn numbers_of_words_are_no_words() {
    // GermEval, Universal NER, and CoNLL-U with a multiword token and an empty node.
    check(
        "#\thttp://de.wikipedia.org/ [2009-10-17]\n1\tThe\tO\tB-NP\n2\tman\tB-NP\tI-NP\n\n#\tx\n1\tYes\tO\tO\n",
        &[(2, "The|man", "B-NP I-NP"), (6, "Yes", "O")],
    );
    check(
        "#\thttp://de.wikipedia.org/\n1\tAuf\tO\tO\n",
        &[(2, "Auf", "O")],
    );
    check_with(
        &label_column("3"),
        "# text = He ran\n1\tHe\tB-PER\t-\t-\n2\tran\tO\t-\t-\n",
        &[(2, "He|ran", "B-PER O")],
    );
    let multiword = "# a comment that has a lot of columns\n1-2\tzum\t_\t_\n1\tzu\tO\tO\n2\tdem\tO\tO\n2.1\tx\t_\t_\n3\tEnde\tO\tB-X\n";
    let expected = [(3, "zu|dem|Ende", "O O B-X")];
    check(multiword, &expected);
    check(&multiword.replace('\t', " "), &expected);
    let second = ColumnOptions {
        text: Some("2".parse().unwrap()),
        ..ColumnOptions::default()
    };
    check_with(&second, multiword, &expected);
    let first = ColumnOptions {
        text: Some("1".parse().unwrap()),
        ..ColumnOptions::default()
    };
    check_with(&first, "1\tHe\tO\n2\tran\tO\n", &[(1, "1|2", "O O")]);
    check(
        "1-2\tzum\t\t\n1\tzu\tO\tO\n2\tdem\tO\tO\n",
        &[(2, "zu|dem", "O O")],
    );
    // Numbers are words if there is no other column, or if they do not count.
    check("1\tO\n2\tO\n", &[(1, "1|2", "O O")]);
    check("1 CD O\nof IN O\n", &[(1, "1|of", "O O")]);
    // Numbers that count something else are not words either.
    for text in [
        "0 He O\n1 ran O\n",
        "7 He O\n7 ran O\n",
        "1 He O\n\n2 ran O\n",
    ] {
        refused(&ColumnOptions::default(), text, 1, "--text-column 2");
    }
}

#[test]
fn a_header_is_no_word() {
    check(
        "word\ttag\nThe\tB-NP\nman\tI-NP\n",
        &[(2, "The|man", "B-NP I-NP")],
    );
    check("Token POS NER_Tags\n\nThe DT O\n", &[(3, "The", "O")]);
    check(
        "ID\tFORM\tTAG\n1\tThe\tO\n2\tman\tO\n",
        &[(2, "The|man", "O O")],
    );
    check(
        "sentence_id words labels\n0 The O\n0 man O\n",
        &[(2, "The|man", "O O")],
    );
    check("word\ttag\n# He ran on\nThe\tO\n", &[(3, "The", "O")]);
    check("# a = b\n\nword tag\nThe O\n", &[(4, "The", "O")]);
    check_with(
        &separator(","),
        "\"word\",\"tag\"\nThe,O\n",
        &[(2, "The", "O")],
    );
    check_with(
        &label_column("2"),
        "text\tlabel\tsource\nThe\tO\tx\n",
        &[(2, "The", "O")],
    );
    // A header needs both names, in the first line.
    check("word O\nof O\n", &[(1, "word|of", "O O")]);
    check("The tag\nman O\n", &[(1, "The|man", "tag O")]);
    check("The O\nword tag\n", &[(1, "The|word", "O tag")]);
    check_with(
        &ColumnOptions {
            text: Some("2".parse().unwrap()),
            ..ColumnOptions::default()
        },
        "word He tag\nman ran O\n",
        &[(1, "He|ran", "tag O")],
    );
}

#[test]
fn lines_of_different_widths_are_read_where_the_tag_is_named() {
    // One more column per predicate.
    let text = "He O x\nran B y\n\nNo O x z\nmore O x z\n";
    refused(&ColumnOptions::default(), text, 4, "4 columns");
    check_with(
        &label_column("2"),
        text,
        &[(1, "He|ran", "O B"), (4, "No|more", "O O")],
    );
    refused(&label_column("2"), "New York B-LOC\nis O\n", 2, "2 columns");
    check_with(
        &label_column("2"),
        "New York\tB-LOC\tnote\nis\tO\n",
        &[(1, "New York|is", "B-LOC O")],
    );
}

#[test]
fn a_line_without_both_columns_is_named() {
    let auto = ColumnOptions::default();
    refused(&auto, "He B-NP\nran\n", 2, "it has 1 column;");
    refused(&auto, "He\tB-NP\n\tO\n", 2, "its word is empty");
    refused(&auto, "He\tB-NP\nran\t\n", 2, "it has 1 column;");
    refused(&label_column("4"), "He PRP B-NP\n", 1, "3 columns");
    refused(&label_column("2"), "He\t\tB-NP\n", 1, "its tag is empty");
    refused(&label_column("tag"), "He B-NP\n", 1, "`tag`");
}
