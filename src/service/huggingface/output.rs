//! The shapes of the pipelines' answers, as transformers writes them.

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::service::classify::LabelScore;

/// What the pipeline of the model's task answers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "PipelineResponse")]
#[serde(untagged)]
pub enum PipelineOutput {
    /// text-classification: for each input its labels, best first; a lone input too is in a list.
    Labels(Vec<Vec<LabelScore>>),
    /// text-classification with `return_all_scores`: if true, all labels of a lone pair; if false, the best label of each input.
    LabelList(Vec<LabelScore>),
    /// text-classification with `return_all_scores: false`: the best label of a lone pair.
    Label(LabelScore),
    /// token-classification: the entities of a text.
    Entities(Vec<PipelineEntity>),
    /// token-classification of a list of texts: the entities of each.
    EntityLists(Vec<Vec<PipelineEntity>>),
    /// question-answering: the answer to a question, or answers where there is not exactly one.
    Answers(PipelineAnswers),
    /// question-answering of several questions: for each the answer or answers.
    AnswerLists(Vec<PipelineAnswers>),
}

/// A token or a group of tokens with a label.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PipelineEntity {
    #[serde(flatten)]
    pub label: EntityLabel,
    /// How sure the model is.
    #[schemars(range(min = 0, max = 1))]
    pub score: f32,
    /// What the tokenizer makes of the text: the model's view of it, not the text.
    pub word: String,
    /// Where it starts in the text, in code points.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// What an entity is, and of what kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EntityLabel {
    /// A token, with the strategy none.
    Token {
        /// Its whole label: `B-NP`.
        entity: String,
        /// Its position in its sequence, where `[CLS]` is 0.
        index: usize,
    },
    /// A group of tokens, with other strategies.
    Group {
        /// Its label without prefix: `NP`.
        entity_group: String,
    },
}

/// What one question is answered with: exactly one answer stands by itself, others in a list, best first.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(transform = exclusive)]
#[serde(untagged)]
pub enum PipelineAnswers {
    One(PipelineAnswer),
    Several(Vec<PipelineAnswer>),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PipelineAnswer {
    /// The product of two probabilities; of an answer that several windows gave, the sum of these, which may exceed 1.
    #[schemars(range(min = 0))]
    pub score: f64,
    /// Where it starts in the context, in code points.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// That stretch of the context; empty for no answer.
    pub answer: String,
}

/// Says that a value is of one variant at most.
fn exclusive(schema: &mut Schema) {
    if let Some(variants) = schema.remove("anyOf") {
        schema.insert("oneOf".to_owned(), variants);
    }
}
