//! Generates all requests of a load before it starts, from a distribution of lengths or from a file of texts.

use std::path::Path;

use fastrand::Rng;
use serde_json::{Value, json};

use super::BenchError;
use super::lengths::Lengths;
use super::subject::Subject;
use super::texts::{TextError, Words};
use crate::inference::Sequence;
use crate::service::QaItem;
use crate::task::Task;
use crate::text::sequence::{pair, single};
use crate::text_file;

/// Distinct requests per model, enough that their mean length is close to the distribution's.
const REQUESTS: usize = 512;

/// The most tokens in a generated question: the mean of SQuAD's questions.
const QUESTION_TOKENS: usize = 12;

/// The source of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// Generated texts.
    Lengths {
        /// The distribution of their lengths.
        lengths: Lengths,
        /// Whether lengths beyond the model's maximum are shortened, which applies to default lengths, rather than
        /// refused.
        shorten: bool,
    },
    /// The lines of a file.
    File(&'a Path),
}

/// One request: a text, or a question with its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Index of the model that it is for.
    pub subject: usize,
    pub content: RequestContent,
    /// The token sequence that the model receives.
    pub sequence: Sequence,
}

/// The input of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestContent {
    /// For all tasks except qa.
    Text(String),
    /// For qa.
    Question(QaItem),
}

impl Request {
    /// The request body for the task's own route.
    #[must_use]
    pub fn body(&self, model: &str) -> Value {
        match &self.content {
            RequestContent::Text(text) => json!({"text": text, "model": model}),
            RequestContent::Question(QaItem { question, context }) => {
                json!({"question": question, "context": context, "model": model})
            }
        }
    }

    /// Fills the template's placeholders `{text}`, or `{question}` and `{context}`, with JSON strings, quotes included.
    #[must_use]
    pub fn fill(&self, template: &str) -> String {
        match &self.content {
            RequestContent::Text(text) => fill(template, &[("{text}", text)]),
            RequestContent::Question(QaItem { question, context }) => fill(
                template,
                &[("{question}", question), ("{context}", context)],
            ),
        }
    }
}

/// The placeholders that a template for a task must have.
#[must_use]
pub fn places(task: Task) -> &'static [&'static str] {
    match task {
        Task::Qa => &["{question}", "{context}"],
        Task::Discriminate | Task::Classify | Task::Tag => &["{text}"],
    }
}

/// Replaces placeholders from left to right, so that text already inserted is not searched for placeholders.
fn fill(template: &str, values: &[(&str, &String)]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    let next = |rest: &str| {
        let found = values
            .iter()
            .filter_map(|&(place, value)| Some((rest.find(place)?, place, value)));
        found.min_by_key(|(at, ..)| *at)
    };
    while let Some((at, place, value)) = next(rest) {
        filled.push_str(&rest[..at]);
        filled.push_str(&Value::from(value.as_str()).to_string());
        rest = &rest[at + place.len()..];
    }
    filled + rest
}

/// Generates the requests of a load, alternating between the models.
///
/// # Errors
/// If the file can't be used, or no text of a requested length can be generated.
pub fn prepare(
    subjects: &[Subject],
    source: &Source,
    random: &mut Rng,
) -> Result<Vec<Request>, BenchError> {
    let mut of_subjects = subjects
        .iter()
        .enumerate()
        .map(|(index, subject)| {
            let contents = match source {
                Source::Lengths { lengths, shorten } => made(subject, *lengths, *shorten, random)?,
                Source::File(path) => read(subject, path)?,
            };
            let request = move |(content, sequence)| Request {
                subject: index,
                content,
                sequence,
            };
            Ok(contents.into_iter().map(request))
        })
        .collect::<Result<Vec<_>, BenchError>>()?;
    let mut requests = Vec::new();
    loop {
        let round: Vec<Request> = of_subjects.iter_mut().filter_map(Iterator::next).collect();
        if round.is_empty() {
            return Ok(requests);
        }
        requests.extend(round);
    }
}

type Asked = (RequestContent, Sequence);

fn made(
    subject: &Subject,
    lengths: Lengths,
    shorten: bool,
    random: &mut Rng,
) -> Result<Vec<Asked>, BenchError> {
    // The special tokens, and one token per text.
    let least = if subject.task == Task::Qa { 5 } else { 3 };
    let most = subject.longest_sequence;
    let (shortest, longest) = lengths.bounds();
    if !shorten && (shortest < least || longest > most) {
        return Err(BenchError::Usage(format!(
            "Lengths of {lengths} are out of range: a sequence of {}, special tokens included, has {least} to {most} tokens.",
            subject.name
        )));
    }
    let failed = |error: TextError| BenchError::Model {
        name: subject.name.clone(),
        reason: error.to_string(),
    };
    let words = Words::of(&subject.tokenizer, random).map_err(failed)?;
    (0..REQUESTS)
        .map(|_| {
            let length = lengths.draw(random).clamp(least.min(most), most);
            made_of(subject, &words, length, random).map_err(failed)
        })
        .collect()
}

fn made_of(
    subject: &Subject,
    words: &Words,
    length: usize,
    random: &mut Rng,
) -> Result<Asked, TextError> {
    let mut text = |tokens| words.text(&subject.tokenizer, tokens, random);
    let special = subject.tokenizer.special_tokens();
    if subject.task != Task::Qa {
        let (text, ids) = text(length.saturating_sub(2))?;
        return Ok((RequestContent::Text(text), single(special, &ids)));
    }
    let room = length.saturating_sub(3);
    let asked = (room / 3).clamp(1, QUESTION_TOKENS);
    let (question, question_ids) = text(asked)?;
    let (context, context_ids) = text(room.saturating_sub(asked))?;
    let sequence = pair(special, &question_ids, &context_ids);
    Ok((
        RequestContent::Question(QaItem { question, context }),
        sequence,
    ))
}

fn read(subject: &Subject, path: &Path) -> Result<Vec<Asked>, BenchError> {
    let unusable =
        |reason: String| BenchError::Usage(format!("{} can't be used: {reason}", path.display()));
    let text = text_file::read(path).map_err(|error| unusable(error.to_string()))?;
    let asked = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            parse(subject, line)
                .map_err(|reason| unusable(format!("its line {}: {reason}", index + 1)))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if asked.is_empty() {
        return Err(unusable("it contains no text".to_owned()));
    }
    Ok(asked)
}

fn parse(subject: &Subject, line: &str) -> Result<Asked, String> {
    let ids = |text: &str| {
        let tokens = subject.tokenizer.tokenize(text);
        tokens
            .map(|tokens| tokens.ids)
            .map_err(|error| error.to_string())
    };
    let special = subject.tokenizer.special_tokens();
    let (content, sequence) = if subject.task == Task::Qa {
        let item: QaItem = serde_json::from_str(line).map_err(|error| {
            format!("a JSON object with `question` and `context` is wanted ({error})")
        })?;
        let sequence = pair(special, &ids(&item.question)?, &ids(&item.context)?);
        (RequestContent::Question(item), sequence)
    } else {
        let sequence = single(special, &ids(line)?);
        (RequestContent::Text(line.to_owned()), sequence)
    };
    let (length, most) = (sequence.len(), subject.longest_sequence);
    if length > most {
        return Err(format!(
            "{length} tokens, special tokens included, are more than the {most} of one sequence of {}",
            subject.name
        ));
    }
    Ok((content, sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content: RequestContent) -> Request {
        let sequence = Sequence {
            ids: vec![],
            type_ids: vec![],
        };
        Request {
            subject: 0,
            content,
            sequence,
        }
    }

    #[test]
    fn templates_are_filled_with_json_strings() {
        let text = request(RequestContent::Text("say \"{text}\"".to_owned()));
        assert_eq!(
            text.fill("{\"inputs\": [{text}, {text}]}"),
            "{\"inputs\": [\"say \\\"{text}\\\"\", \"say \\\"{text}\\\"\"]}"
        );
        let question = request(RequestContent::Question(QaItem {
            question: "{context}?".to_owned(),
            context: "a {question}".to_owned(),
        }));
        assert_eq!(
            question.fill("[{question}, {context}]"),
            "[\"{context}?\", \"a {question}\"]"
        );
        assert_eq!(question.fill("{}"), "{}");
    }

    #[test]
    fn bodies_are_those_of_the_tasks_route() {
        let text = request(RequestContent::Text("a".to_owned()));
        assert_eq!(text.body("m"), json!({"text": "a", "model": "m"}));
        let item = QaItem {
            question: "q".to_owned(),
            context: "c".to_owned(),
        };
        let question = request(RequestContent::Question(item));
        assert_eq!(
            question.body("m"),
            json!({"question": "q", "context": "c", "model": "m"})
        );
    }
}
