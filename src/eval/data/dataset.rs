//! The labelled data of a task, read in that task's format.

use super::columns::{self, ColumnOptions, LabelledText};
use super::conll::{self, TaggedSentence};
use super::data_error::DataError;
use super::replaced::{self, ReplacedText};
use super::squad::{self, Question};
use crate::task::Task;

#[derive(Clone, Debug, PartialEq)]
pub enum Dataset {
    Questions(Vec<Question>),
    /// Texts, or pairs of texts, with a label or a number each.
    Texts(Vec<LabelledText>),
    /// Sentences with one tag per word.
    Sentences(Vec<TaggedSentence>),
    /// Texts with the ranges that were replaced.
    Replaced(Vec<ReplacedText>),
}

impl Dataset {
    /// Parses the content of a file in the task's format: SQuAD's JSON for qa, a table with labels for classify,
    /// CoNLL's columns for tag, JSON lines for discriminate.
    ///
    /// # Errors
    /// For the first line that does not have the format.
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

    #[must_use]
    pub fn task(&self) -> Task {
        match self {
            Self::Questions(_) => Task::Qa,
            Self::Texts(_) => Task::Classify,
            Self::Sentences(_) => Task::Tag,
            Self::Replaced(_) => Task::Discriminate,
        }
    }

    /// The number of questions, texts or sentences.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Questions(questions) => questions.len(),
            Self::Texts(texts) => texts.len(),
            Self::Sentences(sentences) => sentences.len(),
            Self::Replaced(texts) => texts.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
