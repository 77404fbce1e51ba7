//! Column files as people have them.

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

/// Reads a file of which the options are not said: its sentences' lines, words and tags.
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
    // One line without a tab, and all are cut at white space, where this one has a column too many.
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
    // CoNLL-U, MultiCoNER, GermEval.
    check(
        "# sent_id = 1\n# text = He ran to # 5 now\n1\tHe\tO\n2\tran\tO\n\n# text = No\n1\tNo\tO\n",
        &[(3, "1|2", "O O"), (7, "1", "O")],
    );
    check(
        "# id 5628d2b1-98c2\tdomain=en\nit _ _ O\nsung _ _ B-PER\n\n# id 77\tdomain=en\nno _ _ O\n",
        &[(2, "it|sung", "O B-PER"), (6, "no", "O")],
    );
    check(
        "#\thttp://de.wikipedia.org/ [2009-10-17]\n1\tAuf\tO\tO\n",
        &[(2, "1", "O")],
    );
    check("# a sentence about the man\nHe O\n", &[(2, "He", "O")]);
    // A word that begins with # has a tag as the others have.
    check("#fun O\n# O\nrun O\n", &[(1, "#fun|#|run", "O O O")]);
    check("He B-NP\n# domain=en\n", &[(1, "He|#", "B-NP domain=en")]);
    check(
        "So O\n#fun B-TAG\n\n#run B-TAG\n",
        &[(1, "So|#fun", "O B-TAG"), (4, "#run", "B-TAG")],
    );
    // What could be either is refused, and said by the flag.
    let unclear = "#fun B-TAG\nHe O\n";
    refused(&ColumnOptions::default(), unclear, 1, "--comments off");
    check_with(&comments(false), unclear, &[(1, "#fun|He", "B-TAG O")]);
    check_with(&comments(true), unclear, &[(2, "He", "O")]);
    check_with(&comments(true), "#fun O\nHe O\n", &[(2, "He", "O")]);
    check("#fun O\n", &[(1, "#fun", "O")]);
}

#[test]
fn lines_of_different_widths_are_read_where_the_tag_is_named() {
    // A column more for each predicate.
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
