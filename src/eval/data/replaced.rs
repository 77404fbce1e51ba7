//! Texts in which words were replaced: a JSON object a line, `{"text": "…", "replaced": [[start, end], …]}`.

use std::ops::Range;

use serde::Deserialize;

use super::data_error::DataError;

/// A text, and which stretches of it stand where others should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedText {
    /// Where it stands in the file, counted from 1.
    pub line: usize,
    /// The text.
    pub text: String,
    /// The stretches, in code points of the text.
    pub replaced: Vec<Range<usize>>,
}

impl ReplacedText {
    /// Whether a stretch of the text shares a code point with one that was replaced.
    #[must_use]
    pub fn is_replaced(&self, stretch: &Range<usize>) -> bool {
        self.replaced
            .iter()
            .any(|replaced| replaced.start < stretch.end && stretch.start < replaced.end)
    }
}

#[derive(Deserialize)]
struct Line {
    text: String,
    replaced: Vec<(usize, usize)>,
}

/// Reads a file's text; empty lines are left out.
///
/// # Errors
/// The first line that is no such object, or has a stretch that is not in its text.
pub fn read(text: &str) -> Result<Vec<ReplacedText>, DataError> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let number = index + 1;
            let Line { text, replaced } = serde_json::from_str(line).map_err(|error| {
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
                    format!("[{start}, {end}] is no stretch of a text of {length} characters"),
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
