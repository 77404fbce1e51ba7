//! Samples for comparing a graph of lower precision with fp32.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::failure::ConvertError;
use crate::export::ExportError;
use crate::export::head::Head;
use crate::inference::Sequence;
use crate::text::sequence::{pair, single};
use crate::text::{Tokenizer, TokenizerError};
use crate::text_file;

const TEXTS: &str = include_str!("samples/texts.txt");
const QUESTIONS: &str = include_str!("samples/questions.jsonl");

/// A text, or a question with its context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Sample {
    /// For question answering.
    Question {
        question: String,
        /// The text that contains the answer.
        context: String,
    },
    /// For every other task.
    Text(String),
}

/// A sample's tokens, and the rows that are compared.
pub struct SampleSequence {
    pub sequence: Sequence,
    /// The tokens of the text, or of the context.
    pub rows: Range<usize>,
}

impl Sample {
    /// The model's input for the sample, truncated to `max_tokens` tokens.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn sequence(
        &self,
        tokenizer: &Tokenizer,
        max_tokens: usize,
    ) -> Result<SampleSequence, TokenizerError> {
        let special = tokenizer.special_tokens();
        Ok(match self {
            Self::Text(text) => {
                let mut ids = tokenizer.tokenize(text)?.ids;
                ids.truncate(max_tokens.saturating_sub(2));
                SampleSequence {
                    rows: 1..ids.len() + 1,
                    sequence: single(special, &ids),
                }
            }
            Self::Question { question, context } => {
                let mut question = tokenizer.tokenize(question)?.ids;
                let mut context = tokenizer.tokenize(context)?.ids;
                question.truncate(max_tokens.saturating_sub(3) / 2);
                context.truncate(max_tokens.saturating_sub(3 + question.len()));
                let start = question.len() + 2;
                SampleSequence {
                    rows: start..start + context.len(),
                    sequence: pair(special, &question, &context),
                }
            }
        })
    }
}

/// Reads the samples of a file, or returns the built-in ones for the head.
///
/// # Errors
/// If the file can't be read, has no samples, or has a line that does not suit the head.
pub fn read(file: Option<&Path>, head: Head) -> Result<Vec<Sample>, ConvertError> {
    let questions = head == Head::QuestionAnswering;
    let (path, text) = match file {
        Some(path) => {
            let read = |error| ExportError::Read {
                path: path.to_path_buf(),
                error,
            };
            let text = text_file::read(path).map_err(read)?;
            (path.to_path_buf(), text)
        }
        None if questions => (PathBuf::from("questions.jsonl"), QUESTIONS.to_owned()),
        None => (PathBuf::from("texts.txt"), TEXTS.to_owned()),
    };
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let samples = lines
        .map(|(index, line)| {
            if !questions {
                return Ok(Sample::Text(line.to_owned()));
            }
            serde_json::from_str(line).map_err(|_| ConvertError::Samples {
                path: path.clone(),
                line: index + 1,
                reason:
                    "a question-answering sample is a JSON object with `question` and `context`"
                        .to_owned(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if samples.is_empty() {
        return Err(ConvertError::Samples {
            path,
            line: 1,
            reason: "there is no sample in the file".to_owned(),
        });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_samples_fit_their_heads() {
        let texts = read(None, Head::Discriminator).unwrap();
        assert!(texts.len() > 50 && texts.iter().all(|sample| matches!(sample, Sample::Text(_))));
        let questions = read(None, Head::QuestionAnswering).unwrap();
        assert!(
            questions.len() > 30
                && questions
                    .iter()
                    .all(|sample| matches!(sample, Sample::Question { .. }))
        );
    }

    #[test]
    fn a_sample_file_that_does_not_fit_is_refused_by_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |content: &str, expected: &str| {
            std::fs::write(file.path(), content).unwrap();
            let error = read(Some(file.path()), Head::QuestionAnswering).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(
            "{\"question\": \"a\", \"context\": \"b\"}\n\nplain text\n",
            "line 3: a question-answering sample",
        );
        check("\n\n", "there is no sample");
    }
}
