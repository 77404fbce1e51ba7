//! Names and shapes of each task's tensors, for texts and for token ids.

use super::parameters::RequestedOutput;
use super::tensor::Datatype;
use crate::error::ServiceError;
use crate::suggest::suggestion;
use crate::task::Task;
use Datatype::{Bool, Bytes, Fp32, Int64};
use Row::{Labels, Longest, LongestByLabels, One};

/// The kind of request that a tensor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// Texts, answered with decoded results.
    Text,
    /// Token ids, answered with logits.
    Raw,
}

/// An input or output tensor of a task.
#[derive(Clone, Copy, Debug)]
pub struct TensorDescription {
    pub name: &'static str,
    pub datatype: Datatype,
    /// The shape of one input's row.
    pub row: Row,
    pub way: TensorKind,
}

/// The shape of one row, without the batch dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// `[1]`
    One,
    /// `[-1]`: as long as the longest row of the batch.
    Longest,
    /// `[labels]`
    Labels,
    /// `[-1, labels]`
    LongestByLabels,
}

const fn text(name: &'static str, datatype: Datatype, row: Row) -> TensorDescription {
    TensorDescription {
        name,
        datatype,
        row,
        way: TensorKind::Text,
    }
}

const fn raw(name: &'static str, datatype: Datatype, row: Row) -> TensorDescription {
    TensorDescription {
        name,
        datatype,
        row,
        way: TensorKind::Raw,
    }
}

pub const TEXT: &str = "text";
pub const TEXT_PAIR: &str = "text_pair";
pub const QUESTION: &str = "question";
pub const CONTEXT: &str = "context";
pub const INPUT_IDS: &str = "input_ids";
pub const ATTENTION_MASK: &str = "attention_mask";
pub const TOKEN_TYPE_IDS: &str = "token_type_ids";
/// Tensors of the packed graph. They have no batch dimension, so metadata does not list them.
pub const SEQUENCE_STARTS: &str = "sequence_starts";
pub const POSITION_IDS: &str = "position_ids";

/// A whole result as JSON.
pub const RESULT: &str = "result";
/// Number of elements in a row that are not padding.
pub const COUNT: &str = "count";
pub const LOGITS: &str = "logits";
pub const START_LOGITS: &str = "start_logits";
pub const END_LOGITS: &str = "end_logits";

/// A task's inputs. Of the text inputs, required ones come first.
pub fn inputs(task: Task) -> Vec<TensorDescription> {
    let texts: &[&'static str] = match task {
        Task::Discriminate | Task::Tag => &[TEXT],
        Task::Classify => &[TEXT, TEXT_PAIR],
        Task::Qa => &[QUESTION, CONTEXT],
    };
    let ids = [INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS];
    texts
        .iter()
        .map(|name| text(name, Bytes, One))
        .chain(ids.map(|name| raw(name, Int64, Longest)))
        .collect()
}

/// A task's outputs.
pub fn outputs(task: Task) -> &'static [TensorDescription] {
    match task {
        Task::Discriminate => DISCRIMINATE_OUTPUTS,
        Task::Classify => CLASSIFY_OUTPUTS,
        Task::Tag => TAG_OUTPUTS,
        Task::Qa => QA_OUTPUTS,
    }
}

const DISCRIMINATE_OUTPUTS: &[TensorDescription] = &[
    text(RESULT, Bytes, One),
    text("token", Bytes, Longest),
    text("word", Bytes, Longest),
    text("start", Int64, Longest),
    text("end", Int64, Longest),
    text("score", Fp32, Longest),
    text("fake", Bool, Longest),
    text(COUNT, Int64, One),
    raw(LOGITS, Fp32, Longest),
];

const CLASSIFY_OUTPUTS: &[TensorDescription] = &[
    text(RESULT, Bytes, One),
    text("label", Bytes, Longest),
    text("score", Fp32, Longest),
    text("truncated", Bool, One),
    raw(LOGITS, Fp32, Labels),
];

const TAG_OUTPUTS: &[TensorDescription] = &[
    text(RESULT, Bytes, One),
    text("label", Bytes, Longest),
    text("score", Fp32, Longest),
    text("start", Int64, Longest),
    text("end", Int64, Longest),
    text("text", Bytes, Longest),
    text(COUNT, Int64, One),
    raw(LOGITS, Fp32, LongestByLabels),
];

const QA_OUTPUTS: &[TensorDescription] = &[
    text(RESULT, Bytes, One),
    text("text", Bytes, Longest),
    text("score", Fp32, Longest),
    text("start", Int64, Longest),
    text("end", Int64, Longest),
    text(COUNT, Int64, One),
    text("no_answer_score", Fp32, One),
    raw(START_LOGITS, Fp32, Longest),
    raw(END_LOGITS, Fp32, Longest),
];

/// Checks that the task has the requested outputs.
///
/// # Errors
/// [`ServiceError::UnknownField`] if it has no such output.
pub fn check(task: Task, wanted: &[RequestedOutput]) -> Result<(), ServiceError> {
    // The packed graph of question answering has both logits in one tensor.
    let known = outputs(task)
        .iter()
        .map(|output| output.name)
        .chain([LOGITS]);
    match wanted
        .iter()
        .find(|output| known.clone().all(|name| name != output.name))
    {
        None => Ok(()),
        Some(output) => Err(ServiceError::UnknownField {
            place: "`outputs`".to_owned(),
            field: output.name.clone(),
            hint: suggestion(&output.name, known),
        }),
    }
}

/// Chooses the requested outputs among `available`, in the request's order. If the request names none, chooses all.
/// Outputs of the other kind of request are skipped, because clients that read a model's metadata request everything in
/// it.
///
/// # Errors
/// [`ServiceError::InvalidValue`] if no output is left.
pub fn wanted<'a>(
    wanted: &[RequestedOutput],
    available: &[&'a str],
) -> Result<Vec<&'a str>, ServiceError> {
    if wanted.is_empty() {
        return Ok(available.to_vec());
    }
    let mut chosen: Vec<&str> = Vec::new();
    for output in wanted {
        let found = available.iter().find(|name| **name == output.name);
        chosen.extend(found.filter(|name| !chosen.contains(name)));
    }
    if chosen.is_empty() {
        return Err(ServiceError::InvalidValue {
            place: "`outputs`".to_owned(),
            reason: format!(
                "these inputs have none of the named outputs; they have `{}`",
                available.join("`, `")
            ),
        });
    }
    Ok(chosen)
}
