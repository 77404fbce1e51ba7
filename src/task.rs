//! The four tasks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a model computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Which tokens of a text were replaced.
    Discriminate,
    /// Which label a text or a pair of texts has.
    Classify,
    /// Which stretches of a text are entities of which label.
    Tag,
    /// Which span of a context answers a question.
    Qa,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Discriminate, Self::Classify, Self::Tag, Self::Qa];

    /// The name in requests, answers, metrics and files; also the path of its route.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discriminate => "discriminate",
            Self::Classify => "classify",
            Self::Tag => "tag",
            Self::Qa => "qa",
        }
    }

    /// The task of a class of transformers'. Only ELECTRA's pre-training head is a discriminator.
    #[must_use]
    pub fn of_architecture(name: &str) -> Option<Self> {
        match name {
            "ElectraForPreTraining" => Some(Self::Discriminate),
            name if name.ends_with("ForSequenceClassification") => Some(Self::Classify),
            name if name.ends_with("ForTokenClassification") => Some(Self::Tag),
            name if name.ends_with("ForQuestionAnswering") => Some(Self::Qa),
            _ => None,
        }
    }

    /// The task of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
