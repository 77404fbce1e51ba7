//! Tests of [`super`].

use serde_json::json;

use super::*;

/// The lines of a stream, with their detected form.
fn lines(stream: &[u8], format: InputFormat) -> Result<Vec<(Form, String)>, String> {
    let mut lines = Vec::new();
    read(stream, format, |line| {
        lines.push(line);
        true
    });
    let text = |line: Line| (line.form, String::from_utf8_lossy(&line.bytes).into_owned());
    let lines: io::Result<Vec<Line>> = lines.into_iter().collect();
    lines
        .map(|lines| lines.into_iter().map(text).collect())
        .map_err(|error| error.to_string())
}

#[test]
fn the_first_line_tells_what_all_of_a_stream_are() {
    use Form::{Json, Text};
    let check = |stream: &str, form: Form, expected: &[&str]| {
        let expected = expected.iter().map(|line| (form, (*line).to_owned()));
        let found = lines(stream.as_bytes(), InputFormat::Auto);
        assert_eq!(found, Ok(expected.collect()), "{stream:?}");
    };
    check(
        "{\"text\": 1}\nplain\n\n",
        Json,
        &["{\"text\": 1}", "plain", ""],
    );
    check("\"a\\\"b\"\r\n\"cut", Json, &["\"a\\\"b\"", "\"cut"]);
    check(" { ", Json, &[" { "]);
    // It is not valid JSON, but it is not a plausible text either.
    check("\"cut \\ud83d\"\nb\n", Json, &["\"cut \\ud83d\"", "b"]);
    check(
        "plain\n{\"text\": 1}\n\"a\"\n",
        Text,
        &["plain", "{\"text\": 1}", "\"a\""],
    );
    check(
        "\"Stop\", he said\n\"a\"\n",
        Text,
        &["\"Stop\", he said", "\"a\""],
    );
    check("\"Stop, he said\n", Text, &["\"Stop, he said"]);
    check("\"He said \"no\"\"\n", Text, &["\"He said \"no\"\""]);
    check("\"a\\\"\n", Text, &["\"a\\\""]);
    check("[1]\n", Text, &["[1]"]);
    check("", Text, &[]);
}

#[test]
fn blank_lines_before_the_first_are_what_it_is() {
    let of = |stream: &str| lines(stream.as_bytes(), InputFormat::Auto).unwrap();
    let line = |form, text: &str| (form, text.to_owned());
    assert_eq!(
        of("\r\n \n{}\n"),
        [
            line(Form::Json, ""),
            line(Form::Json, " "),
            line(Form::Json, "{}")
        ]
    );
    assert_eq!(of("\na\n"), [line(Form::Text, ""), line(Form::Text, "a")]);
    assert_eq!(of("\n\n"), [line(Form::Text, ""), line(Form::Text, "")]);
}

#[test]
fn a_format_that_is_named_holds_whatever_the_lines_are() {
    let stream = b"{\"text\": 1}\nplain";
    for (format, form) in [
        (InputFormat::Text, Form::Text),
        (InputFormat::Jsonl, Form::Json),
    ] {
        let found = lines(stream, format).unwrap();
        assert!(
            found.len() == 2 && found.iter().all(|line| line.0 == form),
            "{found:?}"
        );
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    for (stream, form) in [
        ("\u{feff}{\"text\": \"a\"}\n", Form::Json),
        ("\u{feff}\"a\"\n", Form::Json),
        ("\u{feff}\n\"a\"\n", Form::Json),
        ("\u{feff}a\n", Form::Text),
    ] {
        let found = lines(stream.as_bytes(), InputFormat::Auto).unwrap();
        let expected: Vec<_> = stream.trim_start_matches('\u{feff}').lines().collect();
        assert_eq!(
            found,
            expected
                .iter()
                .map(|line| (form, (*line).to_owned()))
                .collect::<Vec<_>>()
        );
    }
    let utf16: Vec<u8> = "\u{feff}a\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for format in [InputFormat::Auto, InputFormat::Text, InputFormat::Jsonl] {
        let error = lines(&utf16, format).unwrap_err();
        assert!(error.contains("UTF-16"), "{error}");
    }
}

#[test]
fn a_line_is_a_body_a_string_or_plain_text() {
    let options = Options::default().with("level", Some("word"));
    for (form, line, expected) in [
        (
            Form::Json,
            "{\"text\": \"a\"}",
            json!({"text": "a", "level": "word"}),
        ),
        (
            Form::Json,
            "{\"text\": \"a\", \"level\": \"token\"}",
            json!({"text": "a", "level": "token"}),
        ),
        (
            Form::Json,
            "\"a\\nb\"",
            json!({"text": "a\nb", "level": "word"}),
        ),
        (Form::Json, " \"a\" ", json!({"text": "a", "level": "word"})),
        (
            Form::Json,
            "\u{feff}{\"text\": \"a\"}",
            json!({"text": "a", "level": "word"}),
        ),
        (
            Form::Text,
            "plain text ",
            json!({"text": "plain text ", "level": "word"}),
        ),
        (
            Form::Text,
            "{\"text\": 1}",
            json!({"text": "{\"text\": 1}", "level": "word"}),
        ),
        (Form::Text, "", json!({"text": "", "level": "word"})),
    ] {
        let line = Line {
            form,
            bytes: line.into(),
        };
        let body = body(Task::Discriminate, &line, &options).unwrap();
        assert_eq!(Value::Object(body), expected, "{line:?}");
    }
}

#[test]
fn a_line_that_can_be_no_body_has_its_code() {
    for (task, form, line, code) in [
        (Task::Tag, Form::Json, &b"{\"text\""[..], "invalid_json"),
        (Task::Tag, Form::Json, b"\"cut \\ud83d\"", "invalid_json"),
        (Task::Tag, Form::Json, b"plain", "invalid_json"),
        (Task::Tag, Form::Json, b"", "invalid_json"),
        (Task::Tag, Form::Json, b"[\"a\"]", "invalid_type"),
        (Task::Tag, Form::Json, b"\"\xff\"", "invalid_utf8"),
        (Task::Tag, Form::Text, b"\xff", "invalid_utf8"),
        (Task::Qa, Form::Json, b"\"who?\"", "invalid_type"),
        (Task::Qa, Form::Json, b"who?", "invalid_json"),
    ] {
        let line = Line {
            form,
            bytes: line.into(),
        };
        let error = body(task, &line, &Options::default()).unwrap_err();
        assert_eq!(error.code(), code, "{line:?}: {error}");
        let has_way_out = error.to_string().contains("--input-format text");
        let wanted = code == "invalid_json" && task != Task::Qa;
        assert_eq!(has_way_out, wanted, "{error}");
    }
}

#[test]
fn line_ends_are_no_part_of_a_text() {
    for (line, text) in [
        ("a\r\n", "a"),
        ("a\n", "a"),
        ("a", "a"),
        ("a\r", "a\r"),
        ("\n", ""),
    ] {
        assert_eq!(without_line_end(line.into()), text.as_bytes());
    }
}
