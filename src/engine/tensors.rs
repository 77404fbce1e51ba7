//! Converts batches to a graph's input tensors, and its output tensors to logits, according to its signature.

use std::borrow::Cow;
use std::ops::Range;

use half::f16;
use ort::session::SessionOutputs;
use ort::value::{DynValue, Tensor, TensorElementType};

use super::EngineError;
use super::packed::PackedBatch;
use super::padded::PaddedBatch;
use super::signature::{GraphInputs, Integer, Logits, Output, OutputRows, START_AND_END};
use crate::export::graph::INPUTS;
use crate::inference::Sequence;

/// Input tensors by name.
pub(super) type GraphFeed = Vec<(&'static str, DynValue)>;

/// Positions of a batch's tokens in outputs with one row per token.
#[derive(Debug)]
pub(super) struct TokenRows {
    /// Rows of each sequence.
    of_sequences: Vec<Range<usize>>,
    /// Number of rows, including padding.
    all: usize,
}

impl GraphInputs {
    /// Builds a batch's input tensors, and finds the rows of its tokens.
    pub(super) fn feed(&self, sequences: &[&Sequence]) -> ort::Result<(GraphFeed, TokenRows)> {
        match self {
            Self::Packed => packed(sequences),
            Self::Padded(inputs) => {
                let batch = PaddedBatch::new(sequences);
                let shape = batch.shape();
                let tensors = inputs.iter().map(|&(input, integer)| {
                    let values = batch.values(input);
                    Ok((input.name(), tensor(shape, values, integer)?))
                });
                let rows = TokenRows {
                    of_sequences: batch.token_rows().collect(),
                    all: shape[0] * shape[1],
                };
                Ok((tensors.collect::<ort::Result<_>>()?, rows))
            }
        }
    }
}

fn packed(sequences: &[&Sequence]) -> ort::Result<(GraphFeed, TokenRows)> {
    let batch = PackedBatch::new(sequences);
    let rows = TokenRows {
        of_sequences: PackedBatch::token_rows(sequences).collect(),
        all: batch.input_ids.len(),
    };
    let values = [
        batch.input_ids,
        batch.token_type_ids,
        batch.position_ids,
        batch.sequence_starts,
    ];
    let tensors = INPUTS.into_iter().zip(values).map(|(name, values)| {
        let tensor = Tensor::from_array(([values.len()], values))?;
        Ok((name, tensor.into_dyn()))
    });
    Ok((tensors.collect::<ort::Result<_>>()?, rows))
}

fn tensor(shape: [usize; 2], values: Vec<i64>, integer: Integer) -> ort::Result<DynValue> {
    Ok(match integer {
        Integer::Int64 => Tensor::from_array((shape, values))?.into_dyn(),
        Integer::Int32 => {
            // No vocabulary has 2^31 tokens; the graph refuses an id beyond its rows.
            let narrow = |value| i32::try_from(value).unwrap_or(i32::MAX);
            let values: Vec<i32> = values.into_iter().map(narrow).collect();
            Tensor::from_array((shape, values))?.into_dyn()
        }
    })
}

impl Output {
    /// Reads the logits of each sequence.
    pub(super) fn read(
        &self,
        outputs: &SessionOutputs,
        sequences: usize,
        tokens: &TokenRows,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let logits = self.logits.read(outputs)?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            let reason =
                "the graph computed logits that are not finite numbers; its weights are damaged";
            return Err(EngineError::Output(reason.to_owned()));
        }
        let rows = match self.rows {
            OutputRows::Sequences => sequences,
            OutputRows::Tokens => tokens.all,
        };
        let width = self.width;
        // A graph's output may not have the shape that it declares.
        if rows.checked_mul(width) != Some(logits.len()) {
            return Err(EngineError::Output(format!(
                "the graph returned {} logits, but declares {width} for each of {rows} rows",
                logits.len(),
            )));
        }
        let row = |sequence: usize| match self.rows {
            OutputRows::Sequences => Some(sequence..sequence + 1),
            OutputRows::Tokens => tokens.of_sequences.get(sequence).cloned(),
        };
        let taken = |sequence| {
            let row = row(sequence)?;
            let logits = logits.get(row.start * width..row.end * width)?;
            Some(logits.to_vec())
        };
        let logits = (0..sequences).map(taken).collect::<Option<_>>();
        logits.ok_or_else(|| EngineError::Output("rows of tokens are missing".to_owned()))
    }
}

impl Logits {
    fn read<'o>(&self, outputs: &'o SessionOutputs) -> Result<Cow<'o, [f32]>, EngineError> {
        match self {
            Self::In(name) => floats(outputs, name),
            Self::StartAndEnd => {
                let [starts, ends] = START_AND_END.map(|name| floats(outputs, name));
                let (starts, ends) = (starts?, ends?);
                if starts.len() != ends.len() {
                    let (starts, ends) = (starts.len(), ends.len());
                    return Err(EngineError::Output(format!(
                        "the graph returned {starts} start logits and {ends} end logits"
                    )));
                }
                let pairs = starts.iter().zip(ends.iter());
                Ok(pairs.flat_map(|(&start, &end)| [start, end]).collect())
            }
        }
    }
}

/// The elements of an output; 16-bit floats are widened.
fn floats<'o>(outputs: &'o SessionOutputs, name: &str) -> Result<Cow<'o, [f32]>, EngineError> {
    let failed = EngineError::Runtime;
    let output = outputs.get(name).ok_or_else(|| {
        EngineError::Output(format!("the graph did not return the output `{name}`"))
    })?;
    if output.dtype().tensor_type() == Some(TensorElementType::Float16) {
        let (_, halves) = output.try_extract_tensor::<f16>().map_err(failed)?;
        return Ok(halves.iter().map(|half| half.to_f32()).collect());
    }
    let (_, floats) = output.try_extract_tensor::<f32>().map_err(failed)?;
    Ok(Cow::Borrowed(floats))
}
