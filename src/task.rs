//! The four tasks, and the transformers classes for them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Which tokens of a text were replaced.
    Discriminate,
    /// Which label a text or a pair of texts has.
    Classify,
    /// Which parts of a text are entities, and of which label.
    Tag,
    /// Which span of a context answers a question.
    Qa,
}

impl Task {
    pub const ALL: [Self; 4] = [Self::Discriminate, Self::Classify, Self::Tag, Self::Qa];

    /// The task's name in requests, answers, metrics and files, and the path of its route.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discriminate => "discriminate",
            Self::Classify => "classify",
            Self::Tag => "tag",
            Self::Qa => "qa",
        }
    }

    /// Parses a task's name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }
}

/// The head of a transformers class, as named in config.json's `architectures`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// The head of a task.
    Served(Task),
    NotServed(NotServed),
}

/// A head that no task uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// Which of several choices fits a prompt.
    MultipleChoice,
    /// Which token belongs in a position: ELECTRA's generator.
    LanguageModel,
}

impl Architecture {
    /// The head of a class; `None` for classes without a head and for unknown ones. Only ELECTRA's pre-training head is
    /// a discriminator.
    #[must_use]
    pub fn of_class(name: &str) -> Option<Self> {
        let ends_with = |ending: &str| name.ends_with(ending);
        if name == "ElectraForPreTraining" {
            Some(Self::Served(Task::Discriminate))
        } else if ends_with("ForSequenceClassification") {
            Some(Self::Served(Task::Classify))
        } else if ends_with("ForTokenClassification") {
            Some(Self::Served(Task::Tag))
        } else if ends_with("ForQuestionAnswering") {
            Some(Self::Served(Task::Qa))
        } else if ends_with("ForMultipleChoice") {
            Some(Self::NotServed(NotServed::MultipleChoice))
        } else if ends_with("ForMaskedLM") || ends_with("ForCausalLM") {
            Some(Self::NotServed(NotServed::LanguageModel))
        } else {
            None
        }
    }
}

impl fmt::Display for NotServed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MultipleChoice => "multiple choice",
            Self::LanguageModel => "a language model, such as ELECTRA's generator",
        })
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
