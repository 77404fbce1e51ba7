//! Inputs of question-answering: questions with their contexts, in every accepted form.

use super::pipeline;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::super::input::{Inputs, Object};
use super::super::json;
use crate::error::ServiceError;

/// A question and its context, or lists of both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionsWithContexts {
    question: Inputs<String>,
    context: Inputs<String>,
}

pub(super) struct Item {
    pub question: Part,
    pub context: Part,
}

/// A text and its path in the request. Questions may share a context.
#[derive(Clone)]
pub(super) struct Part {
    pub text: Arc<str>,
    pub place: String,
}

/// Reads the field `inputs`: a question with its context, a list of them, or lists of questions and contexts.
pub(super) fn items(value: Value) -> Result<Inputs<Item>, ServiceError> {
    if value.is_object() {
        let Object(asked) = json::read(value, "inputs")?;
        return several(asked);
    }
    pipeline::inputs(value, |value, place| {
        let Object(QuestionsWithContexts { question, context }) = json::read(value, place)?;
        let alone = |texts: Inputs<String>, name| {
            let is_list = texts.is_list();
            let place = format!("{place}.{name}");
            match texts.into_items().pop() {
                Some(text) if !is_list => Ok(Part::new(text, place)),
                _ => Err(ServiceError::InvalidType {
                    place: format!("`{place}`"),
                    reason:
                        "in a list of questions each has one text; send lists of both as one object"
                            .to_owned(),
                }),
            }
        };
        Ok(Item {
            question: alone(question, "question")?,
            context: alone(context, "context")?,
        })
    })
}

/// Questions that share a context, or have one each.
fn several(
    QuestionsWithContexts { question, context }: QuestionsWithContexts,
) -> Result<Inputs<Item>, ServiceError> {
    let counts = (question.items().len(), context.items().len());
    let fits = match (question.is_list(), context.is_list()) {
        (_, false) => true,
        (true, true) => counts.0 == counts.1,
        (false, true) => false,
    };
    if !fits {
        return Err(ServiceError::InvalidValue {
            place: "`inputs.context`".to_owned(),
            reason: format!(
                "it is a list of {} texts, and `inputs.question` {}; send one context for all questions, or one for each",
                counts.1,
                if question.is_list() {
                    format!("one of {}", counts.0)
                } else {
                    "a text".to_owned()
                },
            ),
        });
    }
    let parts = |texts: Inputs<String>, field: &str| -> Vec<Part> {
        let places: Vec<String> = (0..texts.items().len())
            .map(|index| texts.place(field, index))
            .collect();
        let texts = texts.into_items().into_iter().zip(places);
        texts.map(|(text, place)| Part::new(text, place)).collect()
    };
    let contexts = parts(context, "inputs.context");
    let questions = parts(question, "inputs.question").into_iter();
    // A single context is repeated for every question.
    let items: Vec<Item> = questions
        .zip(contexts.iter().cycle())
        .map(|(question, context)| Item {
            question,
            context: context.clone(),
        })
        .collect();
    Ok(Inputs::many(items))
}

impl Part {
    fn new(text: String, place: String) -> Self {
        Self {
            text: text.into(),
            place,
        }
    }
}

impl Item {
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        [&self.question, &self.context].into_iter()
    }
}
