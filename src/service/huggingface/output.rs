//! The shapes of the pipelines' answers, as transformers writes them.

use serde::Serialize;

use crate::service::classify::LabelScore;

/// The shapes of the pipelines' answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PipelineOutput {
    /// text-classification: for each input its labels, best first. A lone input too is in a list.
    Labels(Vec<Vec<LabelScore>>),
    /// text-classification with `return_all_scores`: the labels of a lone pair, or the best label of each input.
    LabelList(Vec<LabelScore>),
    /// text-classification with `return_all_scores: false`: the best label of a lone pair.
    Label(LabelScore),
    /// token-classification of one text.
    Entities(Vec<PipelineEntity>),
    /// token-classification of a list of texts.
    EntityLists(Vec<Vec<PipelineEntity>>),
    /// question-answering of one question.
    Answers(PipelineAnswers),
    /// question-answering of several.
    AnswerLists(Vec<PipelineAnswers>),
}

/// A token or a group of tokens with a label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineEntity {
    /// What it is.
    #[serde(flatten)]
    pub label: EntityLabel,
    /// How sure the model is, 0 to 1.
    pub score: f32,
    /// The vocabulary's piece of a token, the tokenizer's rendering of a group: the model's view of the text, not the text.
    pub word: String,
    /// Where it starts in the text, in code points.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// What an entity is, and of what kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EntityLabel {
    /// A token, under strategy none.
    Token {
        /// Its whole label (`B-NP`).
        entity: String,
        /// Its position in its sequence, where `[CLS]` is 0.
        index: usize,
    },
    /// Neighbours of one label.
    Group {
        /// Their label without prefix (`NP`).
        entity_group: String,
    },
}

/// What one question is answered with: exactly one answer stands by itself, others in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PipelineAnswers {
    /// The only one.
    One(PipelineAnswer),
    /// Best first.
    Several(Vec<PipelineAnswer>),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineAnswer {
    /// The product of two probabilities; of an answer that was found several times, the sum of them.
    pub score: f64,
    /// Where it starts in the context, in code points.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// That stretch of the context; empty for no answer.
    pub answer: String,
}
