//! Task results as tensors: one row per input, padded to the longest row.

use serde::Serialize;

use super::names::{self, COUNT, RESULT, Row, TensorKind};
use super::tensor::{Tensor, TensorData};
use crate::error::ServiceError;
use crate::numbers::signed;
use crate::service::{
    AnswerSpan, Classification, Discrimination, LabelScore, QaAnswers, ScoredToken, ScoredWord,
    TaggedEntity, Tagging,
};
use crate::task::Task;

/// Most bytes of padding in the outputs of a request, in memory, unless the results themselves have more. Without this
/// bound, one long text among short ones would need many times the memory of the results. The outputs of 256 texts, one
/// of 512 tokens and the others of one, need 9 MB at most.
const MOST_PADDING_BYTES: usize = 10 << 20;

/// A task's result for one input, convertible to tensors.
pub trait Decoded: Sized {
    const TASK: Task;

    /// The number of elements in the result's rows.
    fn length(&self) -> usize;

    /// Names of the outputs that these results have.
    fn outputs(results: &[Self]) -> Vec<&'static str>;

    /// One of them beside `result`: the elements of all rows, and how many a row has.
    fn column(results: &[Self], name: &str) -> Result<TensorColumn, ServiceError>;
}

/// The number of elements per row of an output, and the elements of all rows.
pub type TensorColumn = (usize, TensorData);

/// Builds the outputs with these names.
pub fn tensors<R: Decoded + Serialize>(
    results: &[R],
    names: &[&str],
) -> Result<Vec<Tensor>, ServiceError> {
    check_padding(results, names)?;
    let tensor = |name: &&str| {
        let (width, data) = match *name {
            RESULT => (1, TensorData::Bytes(documents(results)?)),
            name => R::column(results, name)?,
        };
        Tensor::rows(name, results.len(), &[width], data)
    };
    names.iter().map(tensor).collect()
}

fn check_padding<R: Decoded>(results: &[R], names: &[&str]) -> Result<(), ServiceError> {
    let longest = results.iter().map(R::length).max().unwrap_or_default();
    let elements: usize = results.iter().map(R::length).sum();
    let padding = results.len() * longest - elements;
    let padded = names::outputs(R::TASK).iter().filter(|output| {
        output.way == TensorKind::Text && output.row == Row::Longest && names.contains(&output.name)
    });
    let bytes: usize = padded.map(|output| output.datatype.memory()).sum();
    if padding * bytes <= MOST_PADDING_BYTES.max(elements * bytes) {
        return Ok(());
    }
    Err(ServiceError::InvalidValue {
        place: "`inputs`".to_owned(),
        reason: format!(
            "their results differ so much in number that their rows would need {padding} elements of padding in each \
             output; send fewer texts per request, or texts of similar length, or request only the output `{RESULT}`"
        ),
    })
}

/// Serializes each result as the native route does.
fn documents<R: Serialize>(results: &[R]) -> Result<Vec<Vec<u8>>, ServiceError> {
    let document = |result| serde_json::to_vec(result).map_err(ServiceError::internal);
    results.iter().map(document).collect()
}

/// Lists of results, one per input.
struct Rows<'a, T> {
    rows: Vec<&'a [T]>,
    longest: usize,
}

impl<'a, T> Rows<'a, T> {
    fn new(rows: impl Iterator<Item = &'a [T]>) -> Self {
        let rows: Vec<_> = rows.collect();
        let longest = rows.iter().map(|row| row.len()).max().unwrap_or_default();
        Self { rows, longest }
    }

    fn column<V: Clone>(&self, filling: &V, value: impl Fn(&T) -> V) -> Vec<V> {
        let mut column = Vec::with_capacity(self.rows.len() * self.longest);
        for row in &self.rows {
            column.extend(row.iter().map(&value));
            column.extend(std::iter::repeat_n(
                filling.clone(),
                self.longest - row.len(),
            ));
        }
        column
    }

    fn texts(&self, text: impl Fn(&T) -> &str) -> TensorColumn {
        let texts = self.column(&Vec::new(), |item| text(item).as_bytes().to_vec());
        (self.longest, TensorData::Bytes(texts))
    }

    fn positions(&self, position: impl Fn(&T) -> usize) -> TensorColumn {
        let positions = self.column(&0, |item| signed(position(item)));
        (self.longest, TensorData::Int64(positions))
    }

    fn scores(&self, score: impl Fn(&T) -> f32) -> TensorColumn {
        (self.longest, TensorData::Fp32(self.column(&0.0, score)))
    }

    fn verdicts(&self, verdict: impl Fn(&T) -> bool) -> TensorColumn {
        (self.longest, TensorData::Bool(self.column(&false, verdict)))
    }

    fn counts(&self) -> TensorColumn {
        let counts = self.rows.iter().map(|row| signed(row.len()));
        (1, TensorData::Int64(counts.collect()))
    }
}

/// A task's outputs for text inputs.
fn outputs_of(task: Task) -> impl Iterator<Item = &'static str> {
    let outputs = names::outputs(task).iter();
    outputs
        .filter(|output| output.way == TensorKind::Text)
        .map(|output| output.name)
}

/// Unreachable as long as [`names::outputs`] and the columns below list the same outputs.
fn no_such(name: &str) -> ServiceError {
    ServiceError::internal(format!("no results have the output `{name}`"))
}

impl Decoded for Discrimination {
    const TASK: Task = Task::Discriminate;

    fn length(&self) -> usize {
        match self {
            Self::Tokens(tokens) => tokens.len(),
            Self::Words(words) => words.len(),
        }
    }

    fn outputs(results: &[Self]) -> Vec<&'static str> {
        let words = matches!(results.first(), Some(Self::Words(_)));
        let other = if words { "token" } else { "word" };
        outputs_of(Task::Discriminate)
            .filter(|name| *name != other)
            .collect()
    }

    fn column(results: &[Self], name: &str) -> Result<TensorColumn, ServiceError> {
        match results.first() {
            Some(Self::Words(_)) => words(results, name),
            Some(Self::Tokens(_)) | None => tokens(results, name),
        }
    }
}

fn tokens(results: &[Discrimination], name: &str) -> Result<TensorColumn, ServiceError> {
    let rows = Rows::new(results.iter().map(|result| match result {
        Discrimination::Tokens(tokens) => tokens.as_slice(),
        Discrimination::Words(_) => &[],
    }));
    Ok(match name {
        "token" => rows.texts(|token: &ScoredToken| &token.token),
        "start" => rows.positions(|token| token.start),
        "end" => rows.positions(|token| token.end),
        "score" => rows.scores(|token| token.score),
        "fake" => rows.verdicts(|token| token.fake),
        COUNT => rows.counts(),
        _ => return Err(no_such(name)),
    })
}

fn words(results: &[Discrimination], name: &str) -> Result<TensorColumn, ServiceError> {
    let rows = Rows::new(results.iter().map(|result| match result {
        Discrimination::Words(words) => words.as_slice(),
        Discrimination::Tokens(_) => &[],
    }));
    Ok(match name {
        "word" => rows.texts(|word: &ScoredWord| &word.word),
        "start" => rows.positions(|word| word.start),
        "end" => rows.positions(|word| word.end),
        "score" => rows.scores(|word| word.score),
        "fake" => rows.verdicts(|word| word.fake),
        COUNT => rows.counts(),
        _ => return Err(no_such(name)),
    })
}

impl Decoded for Classification {
    const TASK: Task = Task::Classify;

    fn length(&self) -> usize {
        self.labels.len()
    }

    fn outputs(_: &[Self]) -> Vec<&'static str> {
        outputs_of(Task::Classify).collect()
    }

    fn column(results: &[Self], name: &str) -> Result<TensorColumn, ServiceError> {
        let rows = Rows::new(results.iter().map(|result| result.labels.as_slice()));
        Ok(match name {
            "label" => rows.texts(|label: &LabelScore| &label.label),
            "score" => rows.scores(|label| label.score),
            "truncated" => {
                let truncated = results.iter().map(|result| result.truncated);
                (1, TensorData::Bool(truncated.collect()))
            }
            _ => return Err(no_such(name)),
        })
    }
}

impl Decoded for Tagging {
    const TASK: Task = Task::Tag;

    fn length(&self) -> usize {
        self.entities.len()
    }

    fn outputs(_: &[Self]) -> Vec<&'static str> {
        outputs_of(Task::Tag).collect()
    }

    fn column(results: &[Self], name: &str) -> Result<TensorColumn, ServiceError> {
        let rows = Rows::new(results.iter().map(|result| result.entities.as_slice()));
        Ok(match name {
            "label" => rows.texts(|entity: &TaggedEntity| &entity.label),
            "score" => rows.scores(|entity| entity.score),
            "start" => rows.positions(|entity| entity.start),
            "end" => rows.positions(|entity| entity.end),
            "text" => rows.texts(|entity| &entity.text),
            COUNT => rows.counts(),
            _ => return Err(no_such(name)),
        })
    }
}

impl Decoded for QaAnswers {
    const TASK: Task = Task::Qa;

    fn length(&self) -> usize {
        self.answers.len()
    }

    fn outputs(_: &[Self]) -> Vec<&'static str> {
        outputs_of(Task::Qa).collect()
    }

    fn column(results: &[Self], name: &str) -> Result<TensorColumn, ServiceError> {
        let rows = Rows::new(results.iter().map(|result| result.answers.as_slice()));
        Ok(match name {
            "text" => rows.texts(|answer: &AnswerSpan| &answer.text),
            "score" => rows.scores(|answer| answer.score),
            "start" => rows.positions(|answer| answer.start),
            "end" => rows.positions(|answer| answer.end),
            "no_answer_score" => {
                let scores = results.iter().map(|result| result.no_answer_score);
                (1, TensorData::Fp32(scores.collect()))
            }
            COUNT => rows.counts(),
            _ => return Err(no_such(name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagging(texts: &[&str]) -> Tagging {
        let entity = |text: &&str| TaggedEntity {
            label: "X".to_owned(),
            score: 0.5,
            start: 1,
            end: 2,
            text: (*text).to_owned(),
        };
        Tagging {
            entities: texts.iter().map(entity).collect(),
        }
    }

    #[test]
    fn rows_are_filled_up_to_the_longest() {
        let results = [tagging(&["a"]), tagging(&[]), tagging(&["b", "c"])];
        let tensors = tensors(&results, &["text", "end", COUNT, RESULT]).unwrap();
        let shapes: Vec<_> = tensors.iter().map(Tensor::shape).collect();
        assert_eq!(shapes, [&[3, 2], &[3, 2], &[3, 1], &[3, 1]]);
        let text = |text: &str| text.as_bytes().to_vec();
        let texts = ["a", "", "", "", "b", "c"].map(text);
        assert_eq!(tensors[0].data(), &TensorData::Bytes(texts.to_vec()));
        assert_eq!(
            tensors[1].data(),
            &TensorData::Int64(vec![2, 0, 0, 0, 2, 2])
        );
        assert_eq!(tensors[2].data(), &TensorData::Int64(vec![1, 0, 2]));
    }

    #[test]
    fn no_results_in_any_row_is_a_tensor_of_no_columns() {
        let tensors = tensors(&[tagging(&[])], &["label"]).unwrap();
        assert_eq!(tensors[0].shape(), [1, 0]);
    }

    #[test]
    fn a_long_row_among_short_ones_takes_no_memory_for_nothing() {
        let uneven = |longest: usize| {
            let mut results = vec![tagging(&["a"]); 255];
            results.push(tagging(&vec!["a"; longest]));
            results
        };
        let all = Tagging::outputs(&[]);
        // A text of as many tokens as models read, among others of one token.
        assert!(tensors(&uneven(512), &all).is_ok());
        let results = uneven(4000);
        let refusal = tensors(&results, &all).unwrap_err();
        assert_eq!(refusal.code(), "invalid_value");
        for way in ["fewer texts", "similar length", "only the output `result`"] {
            assert!(refusal.to_string().contains(way), "{refusal}");
        }
        assert!(tensors(&results, &[RESULT, COUNT]).is_ok());
        // Fewer outputs need less.
        assert!(tensors(&results, &["score", "start"]).is_err());
        assert!(tensors(&results, &["score"]).is_ok());
        // Padding of no more bytes than the results is always allowed.
        let mut halves = vec![tagging(&vec!["a"; 2000]); 128];
        halves.extend(vec![tagging(&["a"]); 120]);
        assert!(tensors(&halves, &all).is_ok());
    }

    #[test]
    fn every_output_of_every_task_has_its_column() {
        fn check<R: Decoded + Serialize>(task: Task, results: &[R]) {
            let names = R::outputs(results);
            let tensors = tensors(results, &names).unwrap();
            for tensor in &tensors {
                let mut outputs = names::outputs(task).iter();
                let output = outputs.find(|output| output.name == tensor.name());
                assert_eq!(tensor.data().datatype(), output.unwrap().datatype);
            }
            assert_eq!(tensors.len(), names.len());
        }
        let no_labels = Classification {
            labels: Vec::new(),
            truncated: true,
        };
        let no_answers = QaAnswers {
            answers: Vec::new(),
            no_answer_score: 1.0,
        };
        check(Task::Discriminate, &[Discrimination::Tokens(Vec::new())]);
        check(Task::Discriminate, &[Discrimination::Words(Vec::new())]);
        check(Task::Classify, &[no_labels]);
        check(Task::Tag, &[tagging(&[])]);
        check(Task::Qa, &[no_answers]);
    }
}
