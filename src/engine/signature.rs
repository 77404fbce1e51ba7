//! Maps a graph's inputs and outputs to a batch, in either layout. Determined once when the graph is loaded; each run
//! follows it.

use super::TensorInfo;
use super::padded::PaddedInput;
use crate::export::graph::{INPUTS, OUTPUT};
use crate::task::Task;

/// Question answering outputs in transformers' and Optimum's graphs.
pub(super) const START_AND_END: [&str; 2] = ["start_logits", "end_logits"];
/// Outputs of graphs without a head.
const HEADLESS: [&str; 4] = [
    "last_hidden_state",
    "pooler_output",
    "token_embeddings",
    "sentence_embedding",
];

/// A graph's inputs and outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub inputs: GraphInputs,
    pub output: Output,
}

/// A graph's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphInputs {
    /// The four inputs of `electra export`'s graphs.
    Packed,
    /// `[sequences, longest]` each.
    Padded(Vec<(PaddedInput, Integer)>),
}

/// Element type of a padded graph's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    Int64,
    Int32,
}

/// A graph's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub logits: Logits,
    pub rows: OutputRows,
    /// Number of logits per row.
    pub width: usize,
}

/// The outputs that contain the logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logits {
    /// A single output, by name.
    In(String),
    /// One output for start logits and one for end logits.
    StartAndEnd,
}

/// The meaning of a row of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputRows {
    Tokens,
    Sequences,
}

/// A task, and the evidence for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcludedTask {
    pub task: Task,
    /// Follows "concluded from …".
    pub from: String,
}

impl Signature {
    /// The signature of a packed graph. `first_dimension` is the name of the output's first dimension.
    ///
    /// # Errors
    /// What is unexpected and what to do, as the end of a sentence.
    pub fn packed(
        inputs: &[TensorInfo],
        outputs: &[TensorInfo],
        first_dimension: Option<&str>,
    ) -> Result<Self, String> {
        if inputs.iter().map(|input| input.name.as_str()).ne(INPUTS) {
            return Err(
                "its inputs are not those of the packed layout; export the checkpoint again"
                    .to_owned(),
            );
        }
        let logits = outputs.iter().find(|output| output.name == OUTPUT);
        let width = logits.and_then(|logits| fixed(*logits.shape.last()?));
        Ok(Self {
            inputs: GraphInputs::Packed,
            output: Output {
                logits: Logits::In(OUTPUT.to_owned()),
                rows: match first_dimension {
                    Some("sequences") => OutputRows::Sequences,
                    _ => OutputRows::Tokens,
                },
                width: width.ok_or(
                    "it has no output `logits` of a fixed width; export the checkpoint again",
                )?,
            },
        })
    }

    /// The signature of any other text encoder's graph.
    ///
    /// # Errors
    /// As for [`Self::packed`].
    pub fn padded(inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Result<Self, String> {
        Ok(Self {
            inputs: GraphInputs::Padded(padded_inputs(inputs)?),
            output: output(outputs)?,
        })
    }

    /// The task that the outputs imply; `None` if they are ambiguous.
    #[must_use]
    pub fn concluded_task(&self) -> Option<ConcludedTask> {
        let Output {
            logits,
            rows,
            width,
        } = &self.output;
        let (task, from) = match (logits, rows, width) {
            (Logits::StartAndEnd, ..) => (
                Task::Qa,
                "its outputs start_logits and end_logits".to_owned(),
            ),
            (Logits::In(name), ..) if name != OUTPUT => return None,
            (_, OutputRows::Sequences, width) => (
                Task::Classify,
                format!("its output logits of [sequences, {width}]"),
            ),
            (_, OutputRows::Tokens, 1) => (
                Task::Discriminate,
                "its output logits of one score per token".to_owned(),
            ),
            (_, OutputRows::Tokens, width) => (
                Task::Tag,
                format!("its output logits of [sequences, tokens, {width}]"),
            ),
        };
        Some(ConcludedTask { task, from })
    }
}

fn padded_inputs(inputs: &[TensorInfo]) -> Result<Vec<(PaddedInput, Integer)>, String> {
    let known = |input: &TensorInfo| {
        PaddedInput::ALL
            .into_iter()
            .find(|known| known.name() == input.name)
    };
    let unknown = inputs.iter().filter(|input| known(input).is_none());
    let unknown: Vec<String> = unknown.map(|input| format!("`{}`", input.name)).collect();
    if !unknown.is_empty() {
        return Err(format!(
            "it needs the input {}; graphs run on text alone, so their inputs may be {} and no others",
            unknown.join(", "),
            PaddedInput::ALL
                .map(|known| format!("`{}`", known.name()))
                .join(", "),
        ));
    }
    for wanted in [PaddedInput::InputIds, PaddedInput::AttentionMask] {
        if !inputs.iter().any(|input| input.name == wanted.name()) {
            return Err(format!(
                "it has no input `{}`, which batches of texts of different lengths need; export it again with this input",
                wanted.name()
            ));
        }
    }
    inputs
        .iter()
        .filter_map(|input| Some((known(input)?, input)))
        .map(|(known, input)| {
            let integer = match input.datatype.as_str() {
                "INT64" => Integer::Int64,
                "INT32" => Integer::Int32,
                other => {
                    return Err(format!(
                        "its input `{}` has the type {other}; supported types are INT64 and INT32",
                        input.name
                    ));
                }
            };
            // An empty shape means that the graph does not declare one.
            match input.shape.as_slice() {
                [] | [-1, -1] => Ok((known, integer)),
                shape => Err(format!(
                    "its input `{}` has the shape {shape:?}; batches have any number of sequences and of tokens: export \
                     it again with both dimensions dynamic",
                    input.name
                )),
            }
        })
        .collect()
}

fn output(outputs: &[TensorInfo]) -> Result<Output, String> {
    let named = |name: &str| outputs.iter().find(|output| output.name == name);
    if let [Some(start), Some(end)] = START_AND_END.map(named) {
        for output in [start, end] {
            if read(output)? != (OutputRows::Tokens, 1) {
                return Err(format!(
                    "its output `{}` has the shape {:?}; expected is one score per token",
                    output.name, output.shape
                ));
            }
        }
        return Ok(Output {
            logits: Logits::StartAndEnd,
            rows: OutputRows::Tokens,
            width: 2,
        });
    }
    let of = |output: &TensorInfo, (rows, width)| Output {
        logits: Logits::In(output.name.clone()),
        rows,
        width,
    };
    if let Some(logits) = named(OUTPUT) {
        return Ok(of(logits, read(logits)?));
    }
    let may_be_headless = |output: &&TensorInfo| HEADLESS.contains(&output.name.as_str());
    let others = outputs.iter().filter(|output| {
        !may_be_headless(output) && !START_AND_END.contains(&output.name.as_str())
    });
    let fitting: Vec<Output> = others
        .filter_map(|output| Some(of(output, read(output).ok()?)))
        .collect();
    match <[Output; 1]>::try_from(fitting) {
        Ok([only]) => Ok(only),
        Err(_) if outputs.iter().any(|output| may_be_headless(&output)) => Err(format!(
            "it has no head: its outputs are {}. Optimum omits the head when it exports for feature extraction, and for any \
             discriminator; run `electra export` on the graph's checkpoint, which has the head",
            names(outputs)
        )),
        Err(several) => Err(format!(
            "its outputs are {}, and {} of them could be the logits; export it again with one output `logits`, or with \
             `start_logits` and `end_logits`",
            names(outputs),
            if several.is_empty() {
                "none"
            } else {
                "several"
            }
        )),
    }
}

fn names(tensors: &[TensorInfo]) -> String {
    let names = tensors.iter().map(|tensor| format!("`{}`", tensor.name));
    names.collect::<Vec<_>>().join(", ")
}

/// The meaning of an output's rows, and their width. If the last of two dimensions is variable, it counts tokens,
/// because the number of labels is always fixed. Every run checks the number of logits against this.
fn read(output: &TensorInfo) -> Result<(OutputRows, usize), String> {
    let TensorInfo {
        name,
        datatype,
        shape,
    } = output;
    if !["FP32", "FP16"].contains(&datatype.as_str()) {
        return Err(format!(
            "its output `{name}` has the type {datatype}; supported types are FP32 and FP16"
        ));
    }
    let found = match shape.as_slice() {
        [_, -1] => Some((OutputRows::Tokens, 1)),
        [_, last] => fixed(*last).map(|width| (OutputRows::Sequences, width)),
        [_, _, last] => fixed(*last).map(|width| (OutputRows::Tokens, width)),
        _ => None,
    };
    found.ok_or_else(|| {
        format!(
            "its output `{name}` has the shape {shape:?}; expected is [sequences, labels], [sequences, tokens] or \
             [sequences, tokens, labels], with a fixed number of labels"
        )
    })
}

/// The size of a fixed dimension; `None` for a variable one.
fn fixed(size: i64) -> Option<usize> {
    usize::try_from(size).ok().filter(|size| *size > 0)
}

#[cfg(test)]
mod tests;
