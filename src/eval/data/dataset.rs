//! The labelled data of a task, read in the format of that task.

use super::columns::{self, ColumnOptions, LabelledText};
use super::conll::{self, TaggedSentence};
use super::data_error::DataError;
use super::replaced::{self, ReplacedText};
use super::squad::{self, Question};
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
