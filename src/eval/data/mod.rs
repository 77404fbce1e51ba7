//! Labelled data, read from the files that it comes in.

mod cells;
pub mod columns;
pub mod conll;
pub mod replaced;
pub mod squad;
mod tag_layout;

use thiserror::Error;

use self::columns::{ColumnOptions, LabelledText};
use self::conll::TaggedSentence;
use self::replaced::ReplacedText;
use self::squad::Question;
use crate::quote::without_texts;
use crate::task::Task;

/// The labelled data of one task.
#[derive(Clone, Debug, PartialEq)]
pub enum Dataset {
    /// Questions with their contexts and answers.
    Questions(Vec<Question>),
    /// Texts, or pairs of them, with a label or a number each.
    Texts(Vec<LabelledText>),
    /// Sentences with a tag a word.
    Sentences(Vec<TaggedSentence>),
    /// Texts with the stretches that were replaced.
    Replaced(Vec<ReplacedText>),
}

/// Why a file is not what the task needs: a line and a sentence without its stop.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct DataError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there, and what would be right.
    pub reason: String,
}

impl DataError {
    fn at(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
        }
    }

    fn of_json(error: &serde_json::Error, wanted: &str) -> Self {
        let message = error.to_string();
        // The line stands before the sentence, and is another one in a file of lines.
        let message = match message.rsplit_once(" at line ") {
            Some((message, _)) if error.line() > 0 => message,
            _ => &message,
        };
        let message = without_texts(message);
        let reason = format!("column {}: {message}; {wanted}", error.column());
        Self::at(error.line().max(1), reason)
    }
}

impl Dataset {
    /// Reads a file's text in the format of the task: SQuAD's JSON for qa, columns with a label for classify, CoNLL's
    /// columns for tag, JSON lines for discriminate.
    ///
    /// # Errors
    /// The first line that is not as it should be.
    pub fn read(task: Task, text: &str, columns: &ColumnOptions) -> Result<Self, DataError> {
        let data = match task {
            Task::Qa => Self::Questions(squad::read(text)?),
            Task::Classify => Self::Texts(columns::read(text, columns)?),
            Task::Tag => Self::Sentences(conll::read(text, columns)?),
            Task::Discriminate => Self::Replaced(replaced::read(text)?),
        };
        if data.is_empty() {
            return Err(DataError::at(1, "there is nothing in it to score"));
        }
        Ok(data)
    }

    /// The task that it is of.
    #[must_use]
    pub fn task(&self) -> Task {
        match self {
            Self::Questions(_) => Task::Qa,
            Self::Texts(_) => Task::Classify,
            Self::Sentences(_) => Task::Tag,
            Self::Replaced(_) => Task::Discriminate,
        }
    }

    /// How many questions, texts or sentences there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Questions(questions) => questions.len(),
            Self::Texts(texts) => texts.len(),
            Self::Sentences(sentences) => sentences.len(),
            Self::Replaced(texts) => texts.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
