//! `Attention` and its quantized variant: self-attention of each sequence.

use std::ops::Range;

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
};
use ort::value::TensorElementType;

use super::call::{CallInputs, output, run_parts};
use super::declaration::{OutputTypes, attribute, floats, optional_floats};
use crate::export::graph::fused::{ATTENTION, FIRST_TOKENS, NUM_HEADS};
use crate::inference::Cores;
use crate::kernels::{Heads, attend, quantize_signed};

const STARTS: usize = 2;
const SCALES: usize = 3;
/// Queries, keys and values, concatenated in a row.
const PARTS: usize = 3;

/// Queries of a sequence per part, if all cores work. Fewer would pack its keys and values too often; more would leave
/// cores idle.
const QUERIES_OF_A_PART: usize = 48;

pub struct Attention {
    name: String,
    cores: Cores,
    results: OutputTypes,
}

impl Attention {
    pub fn new(cores: Cores, results: OutputTypes) -> Self {
        Self {
            name: results.name(ATTENTION),
            cores,
            results,
        }
    }
}

impl Operator for Attention {
    type Kernel<'attr> = AttentionKernel;

    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let starts = OperatorInput::required(TensorElementType::Int64);
        [floats(), floats(), starts, optional_floats()]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        self.results.outputs()
    }

    fn create_kernel(&self, node: &KernelContext<'_>) -> ort::Result<AttentionKernel> {
        let heads: i64 = attribute(node, NUM_HEADS)?;
        let first_tokens: i64 = attribute(node, FIRST_TOKENS)?;
        Ok(AttentionKernel {
            cores: self.cores,
            results: self.results,
            heads: usize::try_from(heads).unwrap_or(0),
            first_tokens: first_tokens != 0,
        })
    }
}

pub struct AttentionKernel {
    cores: Cores,
    results: OutputTypes,
    heads: usize,
    first_tokens: bool,
}

struct Part {
    sequence: Range<usize>,
    queries: Range<usize>,
}

impl Kernel for AttentionKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let inputs = CallInputs::new(context, SCALES + 1)?;
        let (product, count) = inputs.product(SCALES)?;
        let sequences = sequences(inputs.elements(STARTS)?, count)?;
        let heads = self.divide(product.bias.len())?;
        let width = heads.width();
        let parts: Vec<Part> = sequences
            .into_iter()
            .flat_map(|sequence| self.parts(sequence))
            .collect();
        let rows = parts.iter().map(|part| part.queries.len()).sum();
        let mut result = output(context, 0, &[rows, width])?;
        match self.results {
            OutputTypes::Floats => {
                let rows = result.try_extract_tensor_mut()?.1;
                let parts = split(parts, |part| part.queries.len() * width, rows);
                run_parts(context, self.cores, parts.into_iter(), |(part, context)| {
                    attend(&product, heads, &part.sequence, part.queries, context);
                })
            }
            OutputTypes::Bytes => {
                let mut scales = output(context, 1, &[rows])?;
                let (bytes, scales) = (
                    result.try_extract_tensor_mut()?.1,
                    scales.try_extract_tensor_mut()?.1,
                );
                let parts = split(parts, |part| part.queries.len() * width, bytes);
                let parts = split(parts, |(part, _)| part.queries.len(), scales);
                let parts = parts.into_iter();
                run_parts(context, self.cores, parts, |((part, bytes), scales)| {
                    let mut context = vec![0.0; bytes.len()];
                    attend(&product, heads, &part.sequence, part.queries, &mut context);
                    quantize_signed(&context, width, bytes, scales);
                })
            }
        }
    }
}

impl AttentionKernel {
    fn divide(&self, columns: usize) -> ort::Result<Heads> {
        let cut = PARTS * self.heads;
        if cut == 0 || columns == 0 || !columns.is_multiple_of(cut) {
            let reason = format!(
                "{columns} columns are not divisible among {} heads",
                self.heads
            );
            return Err(ort::Error::new(reason));
        }
        Ok(Heads {
            count: self.heads,
            size: columns / cut,
        })
    }

    fn parts(&self, sequence: Range<usize>) -> Vec<Part> {
        let queries = if self.first_tokens {
            sequence.start..sequence.start + 1
        } else {
            sequence.clone()
        };
        let size = match self.cores {
            Cores::One => queries.len(),
            Cores::All => QUERIES_OF_A_PART,
        };
        let starts = queries.clone().step_by(size);
        starts
            .map(|start| Part {
                sequence: sequence.clone(),
                queries: start..queries.end.min(start + size),
            })
            .collect()
    }
}

/// The rows of each sequence. Refuses empty sequences.
pub(super) fn sequences(starts: &[i64], rows: usize) -> ort::Result<Vec<Range<usize>>> {
    let starts: Option<Vec<usize>> = starts
        .iter()
        .map(|start| usize::try_from(*start).ok())
        .collect();
    let starts = starts.unwrap_or_default();
    let ordered = starts.is_sorted_by(|one, next| one < next);
    if !ordered || starts.first() != Some(&0) || starts.last() != Some(&rows) {
        let reason = format!("sequence_starts do not lead from 0 to {rows}");
        return Err(ort::Error::new(reason));
    }
    Ok(starts.windows(2).map(|ends| ends[0]..ends[1]).collect())
}

/// Assigns each part its slice of the elements, in order.
fn split<P, T>(
    parts: Vec<P>,
    length: impl Fn(&P) -> usize,
    elements: &mut [T],
) -> Vec<(P, &mut [T])> {
    let mut left = elements;
    parts
        .into_iter()
        .map(|part| {
            let (piece, rest) = std::mem::take(&mut left).split_at_mut(length(&part));
            left = rest;
            (part, piece)
        })
        .collect()
}
