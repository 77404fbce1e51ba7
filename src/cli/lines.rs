//! Inputs of the one-shot commands: arguments or lines of standard input, and their conversion to request bodies.

use std::io::{self, BufRead};

use clap::ValueEnum;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::error::ServiceError;
use crate::service::json;
use crate::task::Task;
use crate::text_file;

/// Lines in flight at a time, enough to fill the workers' batches.
pub const IN_FLIGHT: usize = 64;

/// Request fields given as flags. A field in the input itself takes precedence.
#[derive(Clone, Debug, Default)]
pub struct Options(pub Map<String, Value>);

impl Options {
    /// Adds a field, if it was given.
    #[must_use]
    pub fn with(mut self, field: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(field.to_owned(), value.into());
        }
        self
    }
}

/// The format of lines on standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// JSON if the first non-blank line begins with { or is a JSON string, else text
    #[default]
    Auto,
    /// Each line is a text
    Text,
    /// Each line is a request body or a JSON string
    Jsonl,
}

/// The detected form of all lines in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain texts.
    Text,
    /// Request bodies, or texts as JSON strings.
    Json,
}

/// A line without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub form: Form,
    pub bytes: Vec<u8>,
}

/// Lines as they are read.
pub type Lines = mpsc::Receiver<io::Result<Line>>;

/// Lines from request bodies that were given as arguments.
#[must_use]
pub fn from_bodies(bodies: &[Value]) -> Lines {
    let (sender, lines) = mpsc::channel(bodies.len().max(1));
    for body in bodies {
        // The channel has room for all of them.
        let _ = sender.try_send(Ok(Line {
            form: Form::Json,
            bytes: body.to_string().into_bytes(),
        }));
    }
    lines
}

/// Reads lines of standard input on a thread of its own.
#[must_use]
pub fn read_stdin(format: InputFormat) -> Lines {
    let (sender, lines) = mpsc::channel(IN_FLIGHT);
    std::thread::spawn(move || {
        read(io::stdin().lock(), format, |line| {
            sender.blocking_send(line).is_ok()
        });
    });
    lines
}

/// Passes lines to `take` until the end, the first failure, or until `take` declines.
fn read(
    mut input: impl BufRead,
    format: InputFormat,
    mut take: impl FnMut(io::Result<Line>) -> bool,
) {
    let mut form = match format {
        InputFormat::Auto => None,
        InputFormat::Text => Some(Form::Text),
        InputFormat::Jsonl => Some(Form::Json),
    };
    let mut is_start = true;
    // Blank lines do not tell the form. They get that of the first non-blank line after them.
    let mut blank = Vec::new();
    loop {
        let mut bytes = Vec::new();
        let read = input.read_until(b'\n', &mut bytes).and_then(|length| {
            if is_start {
                bytes = text_file::without_mark(&bytes)?.to_vec();
                is_start = false;
            }
            Ok(length)
        });
        match read {
            Err(error) => {
                take(Err(error));
                return;
            }
            Ok(0) => break,
            Ok(_) => {}
        }
        let bytes = without_line_end(bytes);
        form = form.or_else(|| form_of(&bytes));
        let Some(form) = form else {
            blank.push(bytes);
            continue;
        };
        for bytes in blank.drain(..).chain([bytes]) {
            if !take(Ok(Line { form, bytes })) {
                return;
            }
        }
    }
    for bytes in blank {
        if !take(Ok(Line {
            form: Form::Text,
            bytes,
        })) {
            return;
        }
    }
}

/// The form that a line suggests for its stream. `None` for a blank line.
fn form_of(line: &[u8]) -> Option<Form> {
    match line.trim_ascii() {
        [] => None,
        [b'{', ..] => Some(Form::Json),
        [b'"', string @ ..] if is_string(string) => Some(Form::Json),
        _ => Some(Form::Text),
    }
}

/// Whether the text after an opening quote is the rest of exactly one JSON string. Escapes are not validated: a string
/// with an invalid escape is a mistake, not a plain text.
fn is_string(after_quote: &[u8]) -> bool {
    let mut bytes = after_quote.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return bytes.as_slice().is_empty(),
            _ => {}
        }
    }
    false
}

fn without_line_end(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    line
}

/// Converts a line to a request body. A JSON object is the body, and a text or a JSON string becomes its field `text`.
///
/// # Errors
/// If the line can't be a body.
pub fn body(
    task: Task,
    line: &Line,
    options: &Options,
) -> Result<Map<String, Value>, ServiceError> {
    let mut body = match line.form {
        Form::Text => text_body(utf8(&line.bytes)?.to_owned()),
        // Concatenated files may have a byte order mark at the start of any line.
        Form::Json => json_body(
            task,
            text_file::without_mark(&line.bytes).unwrap_or(&line.bytes),
        )?,
    };
    for (field, value) in &options.0 {
        body.entry(field).or_insert_with(|| value.clone());
    }
    Ok(body)
}

fn text_body(text: String) -> Map<String, Value> {
    Map::from_iter([("text".to_owned(), Value::String(text))])
}

fn json_body(task: Task, line: &[u8]) -> Result<Map<String, Value>, ServiceError> {
    let with_way_out = |error| match error {
        ServiceError::InvalidJson { reason } if task != Task::Qa => ServiceError::InvalidJson {
            reason: format!(
                "{reason}; the lines are read as JSON, and as text with --input-format text"
            ),
        },
        other => other,
    };
    if line.trim_ascii_start().starts_with(b"{") {
        return json::parse(line).map_err(with_way_out);
    }
    let line = serde_json::from_str(utf8(line)?).map_err(|error| {
        with_way_out(ServiceError::InvalidJson {
            reason: error.to_string(),
        })
    })?;
    match line {
        Value::String(text) if task != Task::Qa => Ok(text_body(text)),
        _ => Err(ServiceError::InvalidType {
            place: "The line".to_owned(),
            reason: match task {
                Task::Qa => {
                    "a JSON object with `question` and `context`, or with `items`, is wanted"
                }
                _ => "a JSON object or a JSON string is wanted",
            }
            .to_owned(),
        }),
    }
}

fn utf8(line: &[u8]) -> Result<&str, ServiceError> {
    std::str::from_utf8(line).map_err(|error| ServiceError::InvalidUtf8 {
        position: error.valid_up_to(),
    })
}

#[cfg(test)]
mod tests {
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
}
