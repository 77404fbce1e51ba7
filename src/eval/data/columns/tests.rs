//! Reading GLUE's files by their first lines, and other tables.

use super::*;

fn options(text: &str, pair: &str, label: &str, no_header: bool) -> ColumnOptions {
    let column = |name: &str| (!name.is_empty()).then(|| name.parse().unwrap());
    ColumnOptions {
        text: column(text),
        pair: column(pair),
        label: column(label),
        no_header,
        ..ColumnOptions::default()
    }
}

/// Reads a file with one scored line, and compares its text, second text and label.
fn check(file: &str, options: &ColumnOptions, text: &str, pair: Option<&str>, label: &str) {
    let texts = read(file, options).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(texts.len(), 1, "{file}");
    let found = &texts[0];
    assert_eq!(
        (
            found.text.as_str(),
            found.pair.as_deref(),
            found.label.as_str()
        ),
        (text, pair, label),
        "{file}"
    );
}

#[test]
fn the_files_of_glue_are_recognised() {
    let auto = ColumnOptions::default();
    check(
        "sentence\tlabel\na \"fine\" film \t1\n",
        &auto,
        "a \"fine\" film ",
        None,
        "1",
    );
    check("gj04\t1\t\tThey ran.\n", &auto, "They ran.", None, "1");
    check(
        "gj04\t0\t*\tThey runned.\r\n",
        &auto,
        "They runned.",
        None,
        "0",
    );
    check(
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t70\t71\tA b.\tC d.\n",
        &auto,
        "A b.",
        Some("C d."),
        "1",
    );
    check(
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tWhy?\tHow?\t0\n",
        &auto,
        "Why?",
        Some("How?"),
        "0",
    );
    check(
        "index\tquestion\tsentence\tlabel\n0\tWho?\tHe did.\tentailment\n",
        &auto,
        "Who?",
        Some("He did."),
        "entailment",
    );
    check(
        "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tnot_entailment\n",
        &auto,
        "A.",
        Some("B."),
        "not_entailment",
    );
    check(
        "index\tgenre\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n\
         0\tslate\t( A )\t( B )\tA\tB\tneutral\tcontradiction\n\
         1\tslate\t( A )\t( B )\tA\tB\tneutral\t-\n",
        &auto,
        "A",
        Some("B"),
        "contradiction",
    );
    check(
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n\
         0\tnews\tf\t2012\t1\tx\ty\tA\tB\t2.500\n",
        &auto,
        "A",
        Some("B"),
        "2.500",
    );
}

#[test]
fn other_columns_are_named_or_numbered() {
    let file = "Label\tTitle\tBody\n\nspam\tHi\tBuy this\n";
    check(
        file,
        &options("body", "", "", false),
        "Buy this",
        None,
        "spam",
    );
    check(
        file,
        &options("Title", "Body", "label", false),
        "Hi",
        Some("Buy this"),
        "spam",
    );
    check(
        "x\ta b\t1\n",
        &options("2", "", "3", true),
        "a b",
        None,
        "1",
    );
    check(
        "x\ta b\t1\n",
        &options("2", "1", "3", true),
        "a b",
        Some("x"),
        "1",
    );
}

#[test]
fn what_is_not_found_is_said_with_the_way_out() {
    let check = |file: &str, options: &ColumnOptions, line: usize, expected: &str| {
        let error = read(file, options).unwrap_err();
        assert_eq!(error.line, line, "{error}");
        assert!(error.reason.contains(expected), "{error}");
    };
    let auto = ColumnOptions::default();
    check("a\tb\n1\t2\n", &auto, 1, "--label-column");
    check("a\tlabel\n1\t2\n", &auto, 1, "--text-column");
    check("sentence label\n", &auto, 1, "separated by tabs");
    check("sentence,category\n", &auto, 1, "separated by tabs");
    check("sentence\tlabel\na\t1\nb\n", &auto, 3, "column 2 is needed");
    check(
        "a\tb\n",
        &options("c", "", "b", false),
        1,
        "no column `c`; the first line has 2 columns: a, b",
    );
    check("a\t1\n", &options("a", "", "2", true), 1, "give its number");
    check(
        "a\t1\n",
        &options("", "", "", true),
        1,
        "--text-column 1 --label-column 2",
    );
}

#[test]
fn errors_show_names_of_columns_and_no_texts() {
    let reason = |file: &str, options: &ColumnOptions| read(file, options).unwrap_err().reason;
    let auto = ColumnOptions::default();
    let secret = "My name is John and I am ill";
    let error = reason(&format!("{secret}\t1\nfine\t0\n"), &auto);
    assert!(
        error.ends_with("2 columns, separated by tabs: a text of 28 characters, 1"),
        "{error}"
    );
    let long = "x".repeat(300_000);
    let many = "abc\t".repeat(100_000);
    let missing = options(&"y".repeat(300_000), "", "", false);
    for file in [format!("{long}\tb\n"), many, format!("b\tlabel\t{long}\n")] {
        for options in [&auto, &missing] {
            let error = reason(&file, options);
            assert!(error.chars().count() < 500, "{error}");
        }
    }
    let without_header = options(&long, "", "", true);
    let error = reason("a\tb\n", &without_header);
    assert!(error.chars().count() < 200, "{error}");
}

#[test]
fn quotes_are_as_the_file_has_them() {
    let auto = ColumnOptions::default();
    let with = |quotes| ColumnOptions {
        quotes: Some(quotes),
        ..ColumnOptions::default()
    };
    // As pandas writes it, and as GLUE does.
    let pandas = "text\tlabel\n\"He said \"\"no\"\" and left\"\t1\n";
    check(pandas, &auto, "He said \"no\" and left", None, "1");
    check(
        pandas,
        &with(false),
        "\"He said \"\"no\"\" and left\"",
        None,
        "1",
    );
    check("\"text\"\t\"label\"\n\"a\"\t\"1\"\n", &auto, "a", None, "1");
    check("text\tlabel\n\"a\nb\tc\"\t1\n", &auto, "a\nb\tc", None, "1");
    let glue = "text\tlabel\n\"No\" is what he said\t1\n";
    check(glue, &auto, "\"No\" is what he said", None, "1");
    check("text\tlabel\n\"No\"\t1\n", &auto, "\"No\"", None, "1");
    check("text\tlabel\n\"No\"\t1\n", &with(true), "No", None, "1");
    let error = read(glue, &with(true)).unwrap_err();
    assert_eq!(error.line, 2);
    assert!(error.reason.contains("--quotes off"), "{error}");
}

#[test]
fn csv_is_read_by_its_header_or_its_name() {
    let auto = ColumnOptions::default();
    let named = ColumnOptions {
        is_csv: true,
        ..ColumnOptions::default()
    };
    check(
        "text,label\n\"A warm, \"\"funny\"\" film\",1\n",
        &auto,
        "A warm, \"funny\" film",
        None,
        "1",
    );
    check(",text,label\r\n0,fine,1\r\n", &auto, "fine", None, "1");
    check(
        "label;sentence1;sentence2\n1;a, b;c\n",
        &auto,
        "a, b",
        Some("c"),
        "1",
    );
    check(
        "Body,Class\nfine,1\n",
        &options("body", "", "class", false),
        "fine",
        None,
        "1",
    );
    check("text\tlabel\na, b\t1\n", &named, "a, b", None, "1");
    let numbered = ColumnOptions {
        is_csv: true,
        ..options("2", "", "1", true)
    };
    check("1,fine\n", &numbered, "fine", None, "1");
    let bars = ColumnOptions {
        separator: Some("|".parse().unwrap()),
        ..ColumnOptions::default()
    };
    check("text|label\na, b|1\n", &bars, "a, b", None, "1");

    let line = |text: &str, options: &ColumnOptions| read(text, options).unwrap_err();
    // Rows that would lose text are refused, and so are unclosed quotes.
    let error = line("text,label\nfine,1\nA warm, funny film,1\n", &auto);
    assert!(
        error.line == 3 && error.reason.contains("3 columns"),
        "{error}"
    );
    let error = line("text,label\n\"fine,1\nb,0\n", &auto);
    assert!(
        error.line == 2 && error.reason.contains("not closed"),
        "{error}"
    );
    let error = line("text\tlabel\na\t1\nb\tc\t1\n", &auto);
    assert!(
        error.line == 3 && error.reason.contains("3 columns"),
        "{error}"
    );
    let error = line("a,b\n1,2\n", &named);
    assert!(
        error
            .reason
            .contains("2 columns, separated by commas: a, b"),
        "{error}"
    );
    // Lines are counted as an editor counts them, line ends within cells included.
    let error = line("text,label\n\"a\n\nb\",1\nc\n", &auto);
    assert_eq!(error.line, 5, "{error}");
    let spaces = ColumnOptions {
        separator: Some(Separator::Spaces),
        ..ColumnOptions::default()
    };
    assert!(read("text label\na 1\n", &spaces).is_err());
}

#[test]
fn separators_are_names_or_characters() {
    for (text, expected) in [
        ("tab", Separator::Tab),
        ("\\t", Separator::Tab),
        ("\t", Separator::Tab),
        ("space", Separator::Spaces),
        (" ", Separator::Spaces),
        (",", Separator::Character(',')),
        ("|", Separator::Character('|')),
    ] {
        assert_eq!(text.parse(), Ok(expected));
    }
    for wrong in ["", "x", "tabs and spaces", "::", "\""] {
        assert!(wrong.parse::<Separator>().is_err(), "{wrong}");
    }
}
