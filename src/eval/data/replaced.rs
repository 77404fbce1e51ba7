//! Texts in which words were replaced: one JSON object per line, `{"text": "…", "replaced": [[start, end], …]}`.

use std::ops::Range;

use serde::Deserialize;

use super::data_error::DataError;

/// A text, and which ranges of it were replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedText {
    /// Counted from 1.
    pub line: usize,
    pub text: String,
    /// Ranges in code points.
    pub replaced: Vec<Range<usize>>,
}

impl ReplacedText {
    /// Whether a range shares a code point with a replaced one.
    #[must_use]
    pub fn is_replaced(&self, stretch: &Range<usize>) -> bool {
        self.replaced
            .iter()
            .any(|replaced| replaced.start < stretch.end && stretch.start < replaced.end)
    }
}

#[derive(Deserialize)]
struct ReplacedLine {
    text: String,
    replaced: Vec<(usize, usize)>,
}

/// Parses the content of a file, without its empty lines.
///
/// # Errors
/// For the first line that is not such an object, or has a range outside its text.
pub fn read(text: &str) -> Result<Vec<ReplacedText>, DataError> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let number = index + 1;
            let ReplacedLine { text, replaced } = serde_json::from_str(line).map_err(|error| {
                let wanted = "a line is {\"text\": \"…\", \"replaced\": [[start, end], …]}";
                DataError {
                    line: number,
                    ..DataError::from_json(&error, wanted)
                }
            })?;
            let length = text.chars().count();
            let wrong = |(start, end): &&(usize, usize)| start >= end || *end > length;
            if let Some((start, end)) = replaced.iter().find(wrong) {
                return Err(DataError::at(
                    number,
                    format!("[{start}, {end}] is not a range in a text of {length} characters"),
                ));
            }
            Ok(ReplacedText {
                line: number,
                text,
                replaced: replaced
                    .into_iter()
                    .map(|(start, end)| start..end)
                    .collect(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_code_points() {
        let texts = read("{\"text\": \"über fake\", \"replaced\": [[5, 9]]}\n\n").unwrap();
        assert_eq!(texts.len(), 1);
        let check = |stretch: Range<usize>, expected| {
            assert_eq!(texts[0].is_replaced(&stretch), expected, "{stretch:?}");
        };
        check(0..4, false);
        check(4..5, false);
        check(5..9, true);
        check(8..9, true);
        check(5..5, false);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, line, reason) in [
            (
                "{\"text\": \"a\", \"replaced\": []}\n{\"text\": \"a\"}",
                2,
                "`replaced`",
            ),
            (
                "\n\n{\"text\": \"ü\", \"replaced\": [[0, 2]]}",
                3,
                "text of 1 characters",
            ),
            ("{\"text\": \"abc\", \"replaced\": [[2, 2]]}", 1, "[2, 2]"),
            ("abc", 1, "expected value"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
    }
}
