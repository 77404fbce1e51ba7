//! Parses JSON into requests, with a distinct error for each kind of failure, and writes answers as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::input::Object;
use crate::error::ServiceError;
use crate::quote::{quoted, without_texts};
use crate::suggest::suggestion;

/// Parses one JSON object into a request. A leading byte order mark is skipped.
///
/// # Errors
/// Invalid UTF-8, invalid JSON and wrong types (400); missing fields, unknown fields and invalid values (422).
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    let text = std::str::from_utf8(body).map_err(|error| ServiceError::InvalidUtf8 {
        position: error.valid_up_to(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_json::from_str(text) {
        Ok(Object(request)) => Ok(request),
        Err(_) => parse_slowly(text),
    }
}

/// Parses an invalid request again to find the error and its path. Two steps, so that invalid JSON is never reported as
/// a wrong type. A duplicate key is accepted here: the last value counts.
fn parse_slowly<T: DeserializeOwned>(text: &str) -> Result<T, ServiceError> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| no_json(text, &error.to_string()))?;
    from_value(document, "The body")
}

/// Reads a request from a JSON object. Errors call the object `root`.
///
/// # Errors
/// Wrong types (400); missing fields, unknown fields and invalid values (422).
pub fn from_value<T: DeserializeOwned>(document: Value, root: &str) -> Result<T, ServiceError> {
    let Object(request) = serde_path_to_error::deserialize(document)
        .map_err(|error| explain(root, &error.path().to_string(), &error.inner().to_string()))?;
    Ok(request)
}

/// Reads a value of a parsed document, where `path` is the value's path.
///
/// # Errors
/// As [`parse`], with paths below `path`.
pub fn read<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, ServiceError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let below = match error.path().to_string() {
            own if own == "." => String::new(),
            index if index.starts_with('[') => index,
            field => format!(".{field}"),
        };
        let place = format!("{path}{below}");
        explain(path, &place, &error.inner().to_string())
    })
}

/// How much memory [`parse`] may need for a body, at most, beside the body itself: the texts, and the lists and objects
/// that hold them.
///
/// Measured with `serde_json` and the requests' types. A list of `1`s needs 96 bytes for each, if its length is just above
/// a power of two, as the list has twice the room that it needs and is moved while it grows. An object of one field
/// needs 640, since a map has room for eleven. Every request may need this, not only those of JSON values: an invalid
/// one is parsed as such to explain what is wrong.
#[must_use]
pub fn memory(body: &[u8]) -> usize {
    let mut memory = body.len();
    let mut rest = body.iter();
    while let Some(byte) = rest.next() {
        memory += match byte {
            b'"' => {
                skip_string(&mut rest);
                0
            }
            b',' => 96,
            b':' => 32,
            b'[' => 160,
            b'{' => 640,
            _ => 0,
        };
    }
    memory
}

/// Advances to the end of a string that has begun.
fn skip_string(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = rest.find(|byte| matches!(byte, b'"' | b'\\')) {
        if *byte == b'"' || rest.next().is_none() {
            return;
        }
    }
}

/// Writes a body as JSON on one line.
///
/// # Errors
/// [`ServiceError::Internal`] if serialization fails, which does not happen for answers.
pub fn write(body: &impl Serialize) -> Result<String, ServiceError> {
    serde_json::to_string(body).map_err(ServiceError::internal)
}

/// Explains why a text is not JSON, given the parser's message with line and column. For a lone surrogate, the path is
/// given instead: in a list of texts, it tells which one was cut within a character.
fn no_json(text: &str, reason: &str) -> ServiceError {
    let is_surrogate = ["lone leading surrogate", "unexpected end of hex escape"]
        .iter()
        .any(|words| reason.starts_with(words));
    if is_surrogate {
        let mut parser = serde_json::Deserializer::from_str(text);
        if let Err(error) = serde_path_to_error::deserialize::<_, Value>(&mut parser) {
            // A key that cannot be parsed has no name, so the error names its object.
            let path = error.path().to_string();
            let path = path.strip_suffix('?').unwrap_or(&path);
            let path = path.strip_suffix('.').unwrap_or(path);
            return ServiceError::LoneSurrogate {
                place: place("The body", if path.is_empty() { "." } else { path }),
            };
        }
    }
    ServiceError::InvalidJson {
        reason: reason.to_owned(),
    }
}

/// serde's errors differ only in their messages, which the tests below pin. A message may quote any characters of the
/// request, including those that end a quotation, so serde's own words after it are searched from the end.
fn explain(root: &str, path: &str, reason: &str) -> ServiceError {
    if let Some(field) = reason.strip_prefix("missing field `") {
        return ServiceError::MissingField {
            place: place(root, path),
            field: field.trim_end_matches('`').to_owned(),
        };
    }
    if let Some(rest) = reason.strip_prefix("unknown field `") {
        let (field, names) = rest.rsplit_once("`, expected ").unwrap_or((rest, ""));
        return ServiceError::UnknownField {
            place: place(root, parent(path, field)),
            hint: suggestion(field, backticked(names)),
            field: field.to_owned(),
        };
    }
    let place = place(root, path);
    let reason = without_texts(reason);
    if reason.starts_with("invalid type: ") || reason.starts_with("invalid length ") {
        ServiceError::InvalidType { place, reason }
    } else {
        ServiceError::InvalidValue { place, reason }
    }
}

/// The path of the object with the field at `path`, if the path ends in `field`.
fn parent<'p>(path: &'p str, field: &str) -> &'p str {
    match path.strip_suffix(field) {
        Some("") => ".",
        Some(parent) => parent.strip_suffix('.').unwrap_or(path),
        None => path,
    }
}

fn place(root: &str, path: &str) -> String {
    if path == "." {
        root.to_owned()
    } else {
        format!("`{}`", quoted(path))
    }
}

fn backticked(message: &str) -> impl Iterator<Item = &str> + Clone {
    message.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests;
