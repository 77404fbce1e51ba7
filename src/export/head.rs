//! Recognises a checkpoint's head from its tensors, and checks it against config.json.

use std::fmt;

use super::ExportError;
use super::checkpoint::Checkpoint;
use crate::model_config::ModelConfig;
use crate::task::{Architecture, NotServed, Task};

/// Heads that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// `ElectraForPreTraining`: one logit per token, above 0 if the token was replaced.
    Discriminator,
    /// `ElectraForSequenceClassification`: one logit per label, from the first token.
    Sequence { labels: usize },
    /// `ElectraForTokenClassification`: one logit per label for every token.
    Token { labels: usize },
    /// `ElectraForQuestionAnswering`: a start and an end logit for every token.
    QuestionAnswering,
}

/// A head that the tensors may form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadCandidate {
    Served(Head),
    NotServed(NotServed),
}

/// A tensor that every ELECTRA model has.
const TRUNK: &str = "electra.embeddings.word_embeddings.weight";
/// Its name in a checkpoint of `ElectraModel`, which has no head.
const BARE_TRUNK: &str = "embeddings.word_embeddings.weight";
/// Limit on the tensors that an error names.
const EXAMPLES: usize = 3;

impl Head {
    /// Selects the head of the task that the user requested. Without a task, selects the head that config.json's
    /// `architectures` names, or else the only one that the tensors form.
    ///
    /// # Errors
    /// If that head is not among the tensors, is not served, or has another number of labels than config.json; or if
    /// nothing decides between several.
    pub fn recognise(
        checkpoint: &Checkpoint,
        config: &ModelConfig,
        wanted: Option<Task>,
    ) -> Result<Self, ExportError> {
        if !checkpoint.contains(TRUNK) {
            return Err(without_trunk(checkpoint));
        }
        let candidates = candidates(checkpoint);
        if candidates.is_empty() {
            return Err(ExportError::NoHead);
        }
        let has = |architecture: Architecture| {
            let mut candidates = candidates.iter();
            candidates.find(|candidate| candidate.architecture() == architecture)
        };
        let chosen = if let Some(wanted) = wanted {
            has(Architecture::Served(wanted)).ok_or_else(|| ExportError::HeadNotFound {
                wanted,
                found: listed(&candidates),
            })?
        } else if let Some((class, architecture)) = declared(config) {
            has(architecture).ok_or_else(|| ExportError::OtherHead {
                class: class.to_owned(),
                found: listed(&candidates),
            })?
        } else {
            only(&candidates).ok_or_else(|| ExportError::AmbiguousHead {
                found: listed(&candidates),
            })?
        };
        match *chosen {
            HeadCandidate::NotServed(head) => Err(ExportError::HeadNotServed(head)),
            HeadCandidate::Served(head) => head.check_labels(config).map(|()| head),
        }
    }

    /// The head that serves a task, with `labels` logits per row of its output.
    #[must_use]
    pub fn from_task(task: Task, labels: usize) -> Self {
        match task {
            Task::Discriminate => Self::Discriminator,
            Task::Classify => Self::Sequence { labels },
            Task::Tag => Self::Token { labels },
            Task::Qa => Self::QuestionAnswering,
        }
    }

    #[must_use]
    pub fn task(self) -> Task {
        match self {
            Self::Discriminator => Task::Discriminate,
            Self::Sequence { .. } => Task::Classify,
            Self::Token { .. } => Task::Tag,
            Self::QuestionAnswering => Task::Qa,
        }
    }

    /// Number of logits per row of the output. A row is a token, or a sequence for [`Head::Sequence`].
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Discriminator => 1,
            Self::Sequence { labels } | Self::Token { labels } => labels,
            Self::QuestionAnswering => 2,
        }
    }

    fn check_labels(self, config: &ModelConfig) -> Result<(), ExportError> {
        match (self, &config.labels) {
            (Self::Sequence { labels } | Self::Token { labels }, Some(names))
                if names.len() != labels =>
            {
                Err(ExportError::Labels {
                    named: names.len(),
                    rows: labels,
                })
            }
            _ => Ok(()),
        }
    }
}

impl HeadCandidate {
    fn architecture(self) -> Architecture {
        match self {
            Self::Served(head) => Architecture::Served(head.task()),
            Self::NotServed(head) => Architecture::NotServed(head),
        }
    }
}

impl fmt::Display for HeadCandidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served(head) => head.task().fmt(formatter),
            Self::NotServed(head) => head.fmt(formatter),
        }
    }
}

/// The heads that the tensors may form.
fn candidates(checkpoint: &Checkpoint) -> Vec<HeadCandidate> {
    let shape = |name: &str| checkpoint.shape(name);
    let rows = |name: &str| shape(name).and_then(|shape| shape.first().copied());
    let has_any = |prefix: &str| checkpoint.names().any(|name| name.starts_with(prefix));
    let mut candidates = Vec::new();
    if has_any("discriminator_predictions.") {
        candidates.push(HeadCandidate::Served(Head::Discriminator));
    }
    if let Some(labels) = rows("classifier.out_proj.weight") {
        candidates.push(HeadCandidate::Served(Head::Sequence { labels }));
    }
    match rows("classifier.weight") {
        // The projection of the first token, from which multiple choice computes one logit per choice.
        Some(_) if has_any("sequence_summary.") => {
            candidates.push(HeadCandidate::NotServed(NotServed::MultipleChoice));
        }
        // Without the projection (`summary_use_proj`), multiple choice looks like a tagger with one label.
        Some(1) => candidates.extend([
            HeadCandidate::Served(Head::Token { labels: 1 }),
            HeadCandidate::NotServed(NotServed::MultipleChoice),
        ]),
        Some(labels) => candidates.push(HeadCandidate::Served(Head::Token { labels })),
        None => {}
    }
    if has_any("qa_outputs.") {
        candidates.push(HeadCandidate::Served(Head::QuestionAnswering));
    }
    if has_any("generator_predictions.") || has_any("generator_lm_head.") {
        candidates.push(HeadCandidate::NotServed(NotServed::LanguageModel));
    }
    candidates
}

/// The first ELECTRA class in config.json's `architectures` whose head is known.
fn declared(config: &ModelConfig) -> Option<(&str, Architecture)> {
    let mut classes = config.architectures.iter();
    classes.find_map(|class| {
        let architecture = Architecture::of_class(class)?;
        class
            .starts_with("Electra")
            .then_some((class.as_str(), architecture))
    })
}

/// The only candidate. A pre-training checkpoint may contain the generator's head beside the discriminator's, which is
/// then the one to use.
fn only(candidates: &[HeadCandidate]) -> Option<&HeadCandidate> {
    const GENERATOR: HeadCandidate = HeadCandidate::NotServed(NotServed::LanguageModel);
    match candidates {
        [only] | [only @ HeadCandidate::Served(_), GENERATOR] => Some(only),
        _ => None,
    }
}

fn listed(candidates: &[HeadCandidate]) -> String {
    let names: Vec<_> = candidates.iter().map(ToString::to_string).collect();
    names.join("; ")
}

/// The error for a checkpoint without ELECTRA's tensors: it is an encoder alone, or another model.
fn without_trunk(checkpoint: &Checkpoint) -> ExportError {
    if checkpoint.contains(BARE_TRUNK) {
        return ExportError::NoHead;
    }
    let examples = checkpoint.names().take(EXAMPLES);
    ExportError::NoTrunk {
        examples: examples.map(|name| format!("`{name}`")).collect(),
    }
}

#[cfg(test)]
mod tests;
