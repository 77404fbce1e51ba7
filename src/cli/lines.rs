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
mod tests;
