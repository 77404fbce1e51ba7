//! Questions with contexts and answers: SQuAD's JSON, version 1.1 or 2.0. Also reads the rows of Hugging Face's data
//! sets, as a JSON list or one per line.

use std::fmt;
use std::sync::Arc;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::data_error::DataError;
use crate::quote::quoted;

/// A question, with the context that should answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question's id in the file, or its number if it has none.
    pub id: String,
    pub question: String,
    /// Shared by all questions of a paragraph.
    pub context: Arc<str>,
    /// Right answers. Empty if the context does not answer the question.
    pub answers: Vec<String>,
}

/// Parses the content of a file: one document, or several in a row, as in JSON lines.
///
/// # Errors
/// If it is not such JSON, with the line and the missing field, or for a question that can't be scored.
pub fn read(text: &str) -> Result<Vec<Question>, DataError> {
    let wanted = "SQuAD's JSON has `data`, its articles have `paragraphs`, and these a `context` and `qas` with `id`, \
                  `question` and `answers`; rows have `id`, `question`, `context` and `answers`";
    let mut questions = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Document>() {
        let document = document.map_err(|error| DataError::from_json(&error, wanted))?;
        for ArticleEntry { paragraphs } in document.entries {
            for Paragraph { context, qas } in paragraphs {
                let context: Arc<str> = context.into();
                for asked in qas {
                    questions.push(Question {
                        id: asked
                            .id
                            .unwrap_or_else(|| (questions.len() + 1).to_string()),
                        question: asked.question,
                        context: Arc::clone(&context),
                        answers: asked.answers,
                    });
                }
            }
        }
    }
    Ok(questions)
}

/// A JSON value at the top level of a file: `{"data": […]}`, a list, or a row.
struct Document {
    entries: Vec<ArticleEntry>,
}

/// An article. A row counts as an article of one question.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
struct ArticleEntry {
    paragraphs: Vec<Paragraph>,
}

/// The fields that a document or one of its entries may have.
#[derive(Deserialize)]
struct Fields {
    data: Option<Vec<ArticleEntry>>,
    paragraphs: Option<Vec<Paragraph>>,
    context: Option<String>,
    id: Option<Id>,
    question: Option<String>,
    answers: Option<Answers>,
    is_impossible: Option<bool>,
    plausible_answers: Option<de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<QuestionEntry>,
}

#[derive(Deserialize)]
#[serde(try_from = "QuestionFields")]
struct QuestionEntry {
    id: Option<String>,
    question: String,
    answers: Vec<String>,
}

#[derive(Deserialize)]
struct QuestionFields {
    id: Option<Id>,
    question: String,
    answers: Option<Answers>,
    is_impossible: Option<bool>,
    /// Answers of SQuAD 2.0 that look right for an unanswerable question.
    plausible_answers: Option<de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an `id` is a string or a number")]
enum Id {
    Text(String),
    Number(serde_json::Number),
}

/// Right answers: SQuAD's list of objects, Hugging Face's object of lists, or plain texts.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`answers` is a list of {\"text\": …}, or {\"text\": […]}"
)]
enum Answers {
    Objects(Vec<GoldAnswer>),
    Lists { text: Vec<String> },
    One(GoldAnswer),
    Texts(Vec<String>),
}

#[derive(Deserialize)]
struct GoldAnswer {
    text: String,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DocumentVisitor;

        impl<'de> Visitor<'de> for DocumentVisitor {
            type Value = Document;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object with `data`, a row, or a list of rows")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
                let mut fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
                let entries = match fields.data.take() {
                    Some(entries) => entries,
                    None if fields.is_row() => vec![fields.try_into().map_err(de::Error::custom)?],
                    None => return Err(de::Error::missing_field("data")),
                };
                Ok(Document { entries })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Document, A::Error> {
                let entries = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(Document { entries })
            }
        }

        deserializer.deserialize_any(DocumentVisitor)
    }
}

impl Fields {
    /// Whether this is a question by itself, not an article.
    fn is_row(&self) -> bool {
        self.paragraphs.is_some() || self.question.is_some() || self.context.is_some()
    }
}

impl TryFrom<Fields> for ArticleEntry {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        if let Some(paragraphs) = fields.paragraphs {
            return Ok(Self { paragraphs });
        }
        let missing = |field: &str| format!("missing field `{field}`");
        if fields.question.is_none() && fields.context.is_none() {
            return Err(missing("paragraphs"));
        }
        let asked = QuestionFields {
            id: fields.id,
            question: fields.question.ok_or_else(|| missing("question"))?,
            answers: fields.answers,
            is_impossible: fields.is_impossible,
            plausible_answers: fields.plausible_answers,
        };
        let paragraph = Paragraph {
            context: fields.context.ok_or_else(|| missing("context"))?,
            qas: vec![asked.try_into()?],
        };
        Ok(Self {
            paragraphs: vec![paragraph],
        })
    }
}

impl TryFrom<QuestionFields> for QuestionEntry {
    type Error = String;

    fn try_from(fields: QuestionFields) -> Result<Self, String> {
        let id = fields.id.map(|id| match id {
            Id::Text(id) => id,
            Id::Number(id) => id.to_string(),
        });
        let name = || match &id {
            Some(id) => format!("the question `{}`", quoted(id)),
            None => "a question without an `id`".to_owned(),
        };
        let answers = match fields.answers {
            Some(answers) => answers.texts(),
            None if fields.is_impossible == Some(true) || fields.plausible_answers.is_some() => {
                Vec::new()
            }
            None => {
                return Err(format!(
                    "{} has no `answers`, and can't be scored; a question that its context does not answer has the \
                     answers [], or `is_impossible`: true",
                    name()
                ));
            }
        };
        // SQuAD's script decides by the answers, transformers by the mark `is_impossible`. If they contradict each
        // other, one is a mistake.
        let has_answer = answers.iter().any(|answer| !answer.trim().is_empty());
        if fields.is_impossible == Some(true) && has_answer {
            return Err(format!(
                "{} has answers, and is marked as one without: `is_impossible`: true",
                name()
            ));
        }
        Ok(Self {
            id,
            question: fields.question,
            answers,
        })
    }
}

impl Answers {
    fn texts(self) -> Vec<String> {
        match self {
            Self::Objects(answers) => answers.into_iter().map(|answer| answer.text).collect(),
            Self::Lists { text } | Self::Texts(text) => text,
            Self::One(answer) => vec![answer.text],
        }
    }
}

#[cfg(test)]
mod tests;
