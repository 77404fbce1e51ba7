//! Inputs of the one-shot commands: lines of standard input or arguments, and how a line becomes a request's body.

use std::io::{self, BufRead};

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::error::ServiceError;
use crate::service::json;
use crate::task::Task;

/// Lines that are worked on at a time: enough to fill the workers' batches.
pub const IN_FLIGHT: usize = 64;
/// Request fields given as flags: they hold for every input that does not say otherwise itself.
#[derive(Clone, Debug, Default)]
pub struct Options(pub Map<String, Value>);

impl Options {
    /// With a field, if it was given.
    #[must_use]
    pub fn with(mut self, field: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(field.to_owned(), value.into());
        }
        self
    }
}

/// Lines as they come, without their ends.
pub type Lines = mpsc::Receiver<io::Result<Vec<u8>>>;

/// The lines that bodies given as arguments stand for.
#[must_use]
pub fn of(bodies: &[Value]) -> Lines {
    let (sender, lines) = mpsc::channel(bodies.len().max(1));
    for body in bodies {
        // There is room for all of them.
        let _ = sender.try_send(Ok(body.to_string().into_bytes()));
    }
    lines
}

/// The lines of standard input, read on a thread of their own.
#[must_use]
pub fn read_stdin() -> Lines {
    let (sender, lines) = mpsc::channel(IN_FLIGHT);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = match input.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => Ok(without_line_end(line)),
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    lines
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

/// A line as a request's body: a JSON object is one, and a JSON string or anything else is the field `text`.
///
/// # Errors
/// Where it can be no body.
pub fn body(
    task: Task,
    line: &[u8],
    options: &Options,
) -> Result<Map<String, Value>, ServiceError> {
    let text = std::str::from_utf8(line).map_err(|error| ServiceError::InvalidUtf8 {
        position: error.valid_up_to(),
    })?;
    let mut body = if text.trim_start().starts_with('{') {
        json::parse(line)?
    } else if task == Task::Qa {
        let reason =
            "a JSON object with `question` and `context`, or with `items`, is wanted".to_owned();
        return Err(ServiceError::InvalidType {
            place: "The line".to_owned(),
            reason,
        });
    } else {
        let text = serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
        Map::from_iter([("text".to_owned(), Value::String(text))])
    };
    for (field, value) in &options.0 {
        body.entry(field).or_insert_with(|| value.clone());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_a_body_a_string_or_plain_text() {
        let options = Options::default().with("level", Some("word"));
        for (line, expected) in [
            ("{\"text\": \"a\"}", json!({"text": "a", "level": "word"})),
            (
                "{\"text\": \"a\", \"level\": \"token\"}",
                json!({"text": "a", "level": "token"}),
            ),
            ("\"a\\nb\"", json!({"text": "a\nb", "level": "word"})),
            (
                "\"Stop\", he said",
                json!({"text": "\"Stop\", he said", "level": "word"}),
            ),
            (
                "plain text ",
                json!({"text": "plain text ", "level": "word"}),
            ),
            ("", json!({"text": "", "level": "word"})),
        ] {
            let body = body(Task::Discriminate, line.as_bytes(), &options).unwrap();
            assert_eq!(Value::Object(body), expected, "{line}");
        }
    }

    #[test]
    fn a_line_that_can_be_no_body_has_its_code() {
        for (task, line, code) in [
            (Task::Tag, &b"{\"text\""[..], "invalid_json"),
            (Task::Tag, b"\xff", "invalid_utf8"),
            (Task::Qa, b"who?", "invalid_type"),
        ] {
            assert_eq!(
                body(task, line, &Options::default()).unwrap_err().code(),
                code
            );
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
