//! Which head a checkpoint carries, told by its tensors' names and checked against what config.json says.

use super::ExportError;
use super::checkpoint::Checkpoint;
use super::config::ModelConfig;
use crate::task::Task;

/// The heads that ELECTRA checkpoints carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// `ElectraForPreTraining`: one logit a token, above 0 where the token was replaced.
    Discriminator,
    /// `ElectraForSequenceClassification`: one logit a label, from the first token.
    Sequence {
        /// Number of labels.
        labels: usize,
    },
    /// `ElectraForTokenClassification`: one logit a label for every token.
    Token {
        /// Number of labels.
        labels: usize,
    },
    /// `ElectraForQuestionAnswering`: a start and an end logit for every token.
    QuestionAnswering,
}

impl Head {
    /// Recognises the head by its tensors. A task that the user asked for must be there; where a checkpoint carries
    /// several heads, config.json's `architectures` decides.
    ///
    /// # Errors
    /// Where no head is found, or not the one asked for, or several and nothing decides between them.
    pub fn recognise(
        checkpoint: &Checkpoint,
        config: &ModelConfig,
        wanted: Option<Task>,
    ) -> Result<Self, ExportError> {
        let rows = |name: &str| {
            checkpoint
                .shape(name)
                .and_then(|shape| shape.first().copied())
        };
        let candidates: Vec<Self> = [
            rows("discriminator_predictions.dense_prediction.weight").map(|_| Self::Discriminator),
            rows("classifier.out_proj.weight").map(|labels| Self::Sequence { labels }),
            rows("classifier.weight").map(|labels| Self::Token { labels }),
            rows("qa_outputs.weight").map(|_| Self::QuestionAnswering),
        ]
        .into_iter()
        .flatten()
        .collect();
        let wanted = wanted.or_else(|| {
            (candidates.len() > 1)
                .then(|| Self::architecture_task(config))
                .flatten()
        });
        match (candidates.as_slice(), wanted) {
            ([], _) => Err(ExportError::NoHead),
            ([head], None) => Ok(*head),
            (_, None) => {
                let found: Vec<_> = candidates
                    .iter()
                    .map(|head| head.task().to_string())
                    .collect();
                Err(ExportError::AmbiguousHead {
                    found: found.join(", "),
                })
            }
            (_, Some(task)) => candidates
                .iter()
                .find(|head| head.task() == task)
                .copied()
                .ok_or_else(|| ExportError::HeadNotFound {
                    wanted: task,
                    found: candidates
                        .iter()
                        .map(|head| head.task().to_string())
                        .collect::<Vec<_>>()
                        .join(", "),
                }),
        }
    }

    /// The head that serves a task, with so many logits in a row of its output.
    #[must_use]
    pub fn of_task(task: Task, labels: usize) -> Self {
        match task {
            Task::Discriminate => Self::Discriminator,
            Task::Classify => Self::Sequence { labels },
            Task::Tag => Self::Token { labels },
            Task::Qa => Self::QuestionAnswering,
        }
    }

    /// The task that this head serves.
    #[must_use]
    pub fn task(self) -> Task {
        match self {
            Self::Discriminator => Task::Discriminate,
            Self::Sequence { .. } => Task::Classify,
            Self::Token { .. } => Task::Tag,
            Self::QuestionAnswering => Task::Qa,
        }
    }

    /// Logits in one row of the output: a row is a token, or a sequence for [`Head::Sequence`].
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Discriminator => 1,
            Self::Sequence { labels } | Self::Token { labels } => labels,
            Self::QuestionAnswering => 2,
        }
    }

    fn architecture_task(config: &ModelConfig) -> Option<Task> {
        let names = config.architectures.iter();
        names
            .filter(|name| name.starts_with("Electra"))
            .find_map(|name| Task::of_architecture(name))
    }
}
