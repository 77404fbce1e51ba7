//! The shapes of the pipelines' answers, as transformers writes them.

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::service::classify::LabelScore;

/// The output of the pipeline for the model's task.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "PipelineResponse")]
#[serde(untagged)]
pub enum PipelineOutput {
    /// text-classification: the labels of each input, best first. A single input is in a list too.
    Labels(Vec<Vec<LabelScore>>),
    /// text-classification with `return_all_scores`: if true, all labels of a single pair; if false, the best label of
    /// each input.
    LabelList(Vec<LabelScore>),
    /// text-classification with `return_all_scores: false`: the best label of a single pair.
    Label(LabelScore),
    /// token-classification: the entities of a text.
    Entities(Vec<PipelineEntity>),
    /// token-classification of a list of texts: the entities of each text.
    EntityLists(Vec<Vec<PipelineEntity>>),
    /// question-answering: the answer to one question, or a list if there is not exactly one answer.
    Answers(PipelineAnswers),
    /// question-answering of several questions: the answer or answers to each.
    AnswerLists(Vec<PipelineAnswers>),
}

/// A token or a group of tokens with a label.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PipelineEntity {
    #[serde(flatten)]
    pub label: EntityLabel,
    /// The model's confidence, from 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub score: f32,
    /// The entity as the tokenizer's tokens spell it, which may differ from the text.
    pub word: String,
    /// The start offset in the text, in code points.
    pub start: usize,
    /// The end offset, exclusive, in code points.
    pub end: usize,
}

/// The label of a token or of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EntityLabel {
    /// A token, with the strategy `none`.
    Token {
        /// The token's full label, such as `B-NP`.
        entity: String,
        /// The token's position in its sequence, counted from `[CLS]` at 0.
        index: usize,
    },
    /// A group of tokens, with other strategies.
    Group {
        /// The group's label without prefix, such as `NP`.
        entity_group: String,
    },
}

/// The answers to one question: a list, best first, or a single answer without a list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(transform = exclusive)]
#[serde(untagged)]
pub enum PipelineAnswers {
    One(PipelineAnswer),
    Several(Vec<PipelineAnswer>),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PipelineAnswer {
    /// The product of the probabilities of the answer's start and end. If several windows gave the same answer, the sum
    /// over them, which may exceed 1.
    #[schemars(range(min = 0))]
    pub score: f64,
    /// The start offset in the context, in code points.
    pub start: usize,
    /// The end offset, exclusive, in code points.
    pub end: usize,
    /// The answer's part of the context. Empty for no answer.
    pub answer: String,
}

/// Marks the variants as mutually exclusive.
fn exclusive(schema: &mut Schema) {
    if let Some(variants) = schema.remove("anyOf") {
        schema.insert("oneOf".to_owned(), variants);
    }
}
