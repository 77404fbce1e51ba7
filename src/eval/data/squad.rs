//! SQuAD's JSON, of version 1.1 or 2.0: articles of paragraphs, each a context with questions and their answers.

use std::sync::Arc;

use serde::Deserialize;

use super::DataError;

/// A question with the text that should answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Names it in the file.
    pub id: String,
    /// What is asked.
    pub question: String,
    /// The text to answer it from; all questions of a paragraph share it.
    pub context: Arc<str>,
    /// Answers that are right; none where the context does not answer the question.
    pub answers: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    id: String,
    question: String,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
}

/// Reads a file's text.
///
/// # Errors
/// Where it is no such JSON, with the line and what is missing.
pub fn read(text: &str) -> Result<Vec<Question>, DataError> {
    let wanted = "SQuAD's JSON has `data`, its articles have `paragraphs`, and these a `context` and `qas` with `id`, \
                  `question` and `answers`";
    let file: File =
        serde_json::from_str(text).map_err(|error| DataError::of_json(&error, wanted))?;
    let paragraphs = file.data.into_iter().flat_map(|article| article.paragraphs);
    let questions = paragraphs.flat_map(|Paragraph { context, qas }| {
        let context: Arc<str> = context.into();
        qas.into_iter().map(move |asked| Question {
            id: asked.id,
            question: asked.question,
            context: Arc::clone(&context),
            answers: asked
                .answers
                .into_iter()
                .map(|answer| answer.text)
                .collect(),
        })
    });
    Ok(questions.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_of_all_paragraphs_are_read() {
        let questions = read(
            r#"{"version": "v2.0", "data": [{"title": "t", "paragraphs": [
                {"context": "A b.", "qas": [
                    {"id": "1", "question": "What?", "answers": [{"text": "A", "answer_start": 0}, {"text": "A b", "answer_start": 0}]},
                    {"id": "2", "question": "Why?", "answers": [], "is_impossible": true}]},
                {"context": "C.", "qas": [{"id": "3", "question": "Who?", "answers": [{"text": "C"}]}]}]}]}"#,
        )
        .unwrap();
        let ids: Vec<&str> = questions
            .iter()
            .map(|question| question.id.as_str())
            .collect();
        assert_eq!(ids, ["1", "2", "3"]);
        assert_eq!(questions[0].answers, ["A", "A b"]);
        assert!(questions[1].answers.is_empty());
        assert_eq!(&*questions[2].context, "C.");
    }

    #[test]
    fn what_is_no_such_file_is_refused_by_its_line() {
        for (text, line, reason) in [
            ("{\n\"data\": [{}]}", 2, "`paragraphs`"),
            ("[]", 1, "`data`"),
            ("{\"data\": [\n", 2, "EOF"),
            ("plain text", 1, "expected value"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
    }
}
