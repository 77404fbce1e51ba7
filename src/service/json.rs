//! JSON to requests, with each way to fail told apart, and answers to JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Answer;
use super::input::Object;
use crate::error::ServiceError;
use crate::suggest::suggestion;

/// Parses one JSON object into a request.
///
/// # Errors
/// Invalid UTF-8, invalid JSON and wrong types (400), missing and unknown fields and unusable values (422).
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    let text = std::str::from_utf8(body).map_err(|error| ServiceError::InvalidUtf8 {
        position: error.valid_up_to(),
    })?;
    // In two steps: what is no JSON at all is never taken for a wrong type, wherever it stands.
    let document: Value =
        serde_json::from_str(text).map_err(|error| ServiceError::InvalidJson {
            reason: error.to_string(),
        })?;
    from_value(document, "The body")
}

/// Reads a request from a JSON object; `root` is what errors call the object itself.
///
/// # Errors
/// Wrong types (400), missing and unknown fields and unusable values (422).
pub fn from_value<T: DeserializeOwned>(document: Value, root: &str) -> Result<T, ServiceError> {
    let Object(request) = serde_path_to_error::deserialize(document)
        .map_err(|error| explain(root, &error.path().to_string(), &error.inner().to_string()))?;
    Ok(request)
}

/// Reads a value of a document that is parsed already, and that stands there at `path`.
///
/// # Errors
/// As [`parse`], with places below `path`.
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

/// Writes an answer as one JSON object on one line: `{"model": ..., "results": [...]}`.
///
/// # Errors
/// [`ServiceError::Internal`] where a result can't be written, which does not happen to those of the four tasks.
pub fn write<R: Serialize>(answer: &Answer<R>) -> Result<String, ServiceError> {
    #[derive(Serialize)]
    struct Body<'a, R> {
        model: &'a str,
        results: &'a [R],
    }
    let body = Body {
        model: &answer.model,
        results: &answer.results,
    };
    to_string(&body)
}

/// Writes what makes up a whole body as JSON on one line.
///
/// # Errors
/// [`ServiceError::Internal`] where it can't be written, which does not happen to answers.
pub fn to_string(body: &impl Serialize) -> Result<String, ServiceError> {
    serde_json::to_string(body).map_err(ServiceError::internal)
}

/// serde tells its errors apart only by their words, which the tests below pin.
fn explain(root: &str, path: &str, reason: &str) -> ServiceError {
    let mut names = backticked(reason);
    if let Some(field) = names.next() {
        let field = field.to_owned();
        if reason.starts_with("missing field ") {
            return ServiceError::MissingField {
                place: place(root, path),
                field,
            };
        }
        if reason.starts_with("unknown field ") {
            let place = place(root, parent(path, &field));
            return ServiceError::UnknownField {
                place,
                hint: suggestion(&field, names),
                field,
            };
        }
    }
    let place = place(root, path);
    // What serde says of an enum, of which ours are all written as strings.
    let reason = reason.replace("expected string or map", "expected a string");
    if reason.starts_with("invalid type: ") || reason.starts_with("invalid length ") {
        ServiceError::InvalidType { place, reason }
    } else {
        ServiceError::InvalidValue { place, reason }
    }
}

/// The path of the object that holds the field at `path`, where the path ends in the field.
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
        format!("`{path}`")
    }
}

fn backticked(message: &str) -> impl Iterator<Item = &str> + Clone {
    message.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{ClassifyRequest, DiscriminateRequest, QaRequest, Timings};

    fn check<T: DeserializeOwned>(body: &str, code: &str, sentence_part: &str) {
        let Err(error) = parse::<T>(body.as_bytes()) else {
            panic!("{body} was taken");
        };
        assert_eq!(error.code(), code, "{body}: {error}");
        assert!(error.to_string().contains(sentence_part), "{body}: {error}");
    }

    #[test]
    fn what_is_no_json_is_invalid_json() {
        for body in [
            "",
            "{",
            "{\"text\": NaN}",
            "{\"text\": \"a\"} x",
            "{\"text\": \"\\ud800\"}",
            "{'text': 1}",
        ] {
            check::<DiscriminateRequest>(body, "invalid_json", "not valid JSON");
        }
        check::<DiscriminateRequest>(&"[".repeat(100_000), "invalid_json", "recursion limit");
        check::<DiscriminateRequest>("{\"text\": 1, ", "invalid_json", "EOF");
        check::<DiscriminateRequest>(
            "{\"text\": \"a\", \"threshold\": 1e999}",
            "invalid_json",
            "number",
        );
    }

    #[test]
    fn bytes_that_are_no_utf8_are_named() {
        let error = parse::<DiscriminateRequest>(b"{\"text\": \"\xff\"}")
            .err()
            .unwrap();
        assert_eq!(error, ServiceError::InvalidUtf8 { position: 10 });
    }

    #[test]
    fn wrong_types_are_named_with_their_place() {
        check::<DiscriminateRequest>("[1]", "invalid_type", "The body has the wrong type");
        check::<DiscriminateRequest>("{\"text\": 5}", "invalid_type", "`text` has the wrong type");
        check::<DiscriminateRequest>("{\"text\": [\"a\", null]}", "invalid_type", "`text[1]`");
        check::<DiscriminateRequest>(
            "{\"text\": \"a\", \"level\": 3}",
            "invalid_type",
            "expected a string.",
        );
        check::<ClassifyRequest>("{\"text\": [[\"a\"]]}", "invalid_type", "`text[0]`");
        check::<ClassifyRequest>(
            "{\"text\": [[\"a\", \"b\", \"c\"]]}",
            "invalid_type",
            "`text[0]`",
        );
        check::<ClassifyRequest>(
            "{\"text\": \"a\", \"top_k\": 1.5}",
            "invalid_type",
            "`top_k`",
        );
        check::<QaRequest>("[\"who?\", \"me\"]", "invalid_type", "a JSON object");
        check::<QaRequest>(
            "{\"items\": [[\"who?\", \"me\"]]}",
            "invalid_type",
            "`items[0]`",
        );
        check::<QaRequest>(
            "{\"items\": [{\"question\": 1}]}",
            "invalid_type",
            "`items[0].question`",
        );
    }

    #[test]
    fn missing_and_unknown_fields_are_named_with_their_place() {
        check::<DiscriminateRequest>("{}", "missing_field", "The body lacks the field `text`.");
        check::<QaRequest>(
            "{\"items\": [{\"question\": \"a\"}]}",
            "missing_field",
            "`items[0]` lacks the field `context`.",
        );
        check::<DiscriminateRequest>(
            "{\"text\": \"a\", \"treshold\": 1}",
            "unknown_field",
            "The body has the unknown field `treshold`. Did you mean `threshold`?",
        );
        check::<QaRequest>(
            "{\"items\": [{\"query\": \"a\"}]}",
            "unknown_field",
            "`items[0]` has the unknown field `query`.",
        );
    }

    #[test]
    fn unusable_values_are_named_with_what_would_be_right() {
        check::<ClassifyRequest>(
            "{\"text\": \"a\", \"top_k\": 0}",
            "invalid_value",
            "`top_k`",
        );
        check::<ClassifyRequest>(
            "{\"text\": \"a\", \"top_k\": -1}",
            "invalid_value",
            "at least 1",
        );
        check::<DiscriminateRequest>(
            "{\"text\": \"a\", \"threshold\": 1.5}",
            "invalid_value",
            "from 0 to 1",
        );
        check::<DiscriminateRequest>(
            "{\"text\": \"a\", \"level\": \"line\"}",
            "invalid_value",
            "`word`",
        );
    }

    #[test]
    fn null_is_as_if_a_field_were_absent() {
        let request: DiscriminateRequest =
            parse(b"{\"text\": \"a\", \"threshold\": null, \"model\": null}").unwrap();
        assert_eq!(request.threshold, None);
    }
    #[test]
    fn an_answer_is_written_on_one_line_without_its_timings() {
        let answer = Answer {
            model: "a \"model\"".to_owned(),
            results: vec!["one\nline", "é"],
            timings: Timings::default(),
        };
        assert_eq!(
            write(&answer).unwrap(),
            r#"{"model":"a \"model\"","results":["one\nline","é"]}"#
        );
    }
}
