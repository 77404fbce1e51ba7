//! Rows of token ids, answered with the graph's logits. The tensors are the same for packed and padded graphs.
//!
//! Rows are scheduled without their padding, and padded with zeros again in the answer.

use std::ops::Range;
use std::sync::Arc;

use super::inputs::{NamedTensors, integers, place, refused};
use super::names::{
    self, ATTENTION_MASK, END_LOGITS, INPUT_IDS, LOGITS, START_LOGITS, TOKEN_TYPE_IDS,
};
use super::parameters::RequestedOutput;
use super::tensor::{Tensor, TensorData};
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::inference::Sequence;
use crate::quote::quoted_numbers;
use crate::registry::LoadedModel;
use crate::service::chunk::Chunk;
use crate::service::steps::{Steps, joined};
use crate::service::{RequestContext, Service, Timings};
use crate::task::Task;

/// Answers token ids with logits.
pub async fn infer(
    service: &Service,
    model: &Arc<LoadedModel>,
    inputs: NamedTensors,
    wanted: &[RequestedOutput],
    context: &RequestContext,
) -> Result<(Vec<Tensor>, Timings), ServiceError> {
    let outputs: &[&str] = match model.info.task {
        Task::Qa => &[START_LOGITS, END_LOGITS],
        Task::Discriminate | Task::Classify | Task::Tag => &[LOGITS],
    };
    let names = names::wanted(wanted, outputs)?;
    let chunks = Chunk::of_tokens(inputs.elements(INPUT_IDS), inputs);
    let steps = Steps {
        prepare: |model: &LoadedModel, inputs| {
            let (sequences, longest) = sequences(model, inputs)?;
            Ok((longest, sequences))
        },
        decode: move |model: &LoadedModel, longest: usize, outputs: Vec<SequenceOutput>| {
            let tensor = |name: &&str| tensor(model, name, longest, &outputs);
            names.iter().map(tensor).collect::<Result<Vec<_>, _>>()
        },
    };
    let outcome = service.run_steps(model, chunks, steps, context).await?;
    Ok(joined(outcome))
}

/// The rows without their padding, and their length with it.
fn sequences(
    model: &LoadedModel,
    mut inputs: NamedTensors,
) -> Result<(Vec<Sequence>, usize), ServiceError> {
    let shape = inputs.get(INPUT_IDS).map_or(&[][..], Tensor::shape);
    let &[rows, longest] = shape else {
        let reason = format!(
            "its shape is {}, and it must be [N, L]: N rows of L token ids",
            quoted_numbers(shape)
        );
        return Err(refused(&place(INPUT_IDS), reason));
    };
    let shape = [rows, longest];
    let sized = |size: i64| usize::try_from(size).unwrap_or_default();
    let (rows, longest) = (sized(rows), sized(longest));
    check_rows(model, rows, longest)?;
    let mut take = |name: &'static str| match inputs.take(name) {
        Some(tensor) if tensor.shape() != shape => Err(refused(
            &place(name),
            format!(
                "its shape is {}, and that of `{INPUT_IDS}` {shape:?}",
                quoted_numbers(tensor.shape())
            ),
        )),
        Some(tensor) => integers(tensor).map(Some),
        None => Ok(None),
    };
    let ids = take(INPUT_IDS)?.unwrap_or_default();
    let mask = take(ATTENTION_MASK)?;
    let types = take(TOKEN_TYPE_IDS)?;
    let sequence = |row: usize| {
        // In range: the tensor's shape matches its data.
        let all = row * longest..(row + 1) * longest;
        let length = match &mask {
            Some(mask) => masked_length(slice(mask, &all), row)?,
            None => longest,
        };
        let real = all.start..all.start + length;
        let index = |at: usize| format!("[{row}, {at}]");
        Sequence::checked(
            model,
            slice(&ids, &real),
            types.as_ref().map(|types| slice(types, &real)),
            index,
        )
    };
    let sequences = (0..rows).map(sequence).collect::<Result<_, _>>()?;
    Ok((sequences, longest))
}

fn slice<'n>(numbers: &'n [i64], range: &Range<usize>) -> &'n [i64] {
    numbers.get(range.clone()).unwrap_or_default()
}

/// Checks a request's size. Rows count with their padding, which bounds the answer too.
pub(super) fn check_rows(
    model: &LoadedModel,
    rows: usize,
    longest: usize,
) -> Result<(), ServiceError> {
    let most = model.info.limits.max_inputs;
    if rows == 0 {
        return Err(ServiceError::EmptyInput { place: INPUT_IDS });
    }
    if rows > most {
        return Err(ServiceError::TooManyInputs {
            place: INPUT_IDS,
            count: rows,
            limit: most,
        });
    }
    check_length(model, longest)
}

/// Checks the length of a row, in tokens.
pub(super) fn check_length(model: &LoadedModel, length: usize) -> Result<(), ServiceError> {
    let most = model.info.max_tokens;
    if (1..=most).contains(&length) {
        return Ok(());
    }
    let reason = format!("it has a row of {length} tokens, and the model reads 1 to {most}");
    Err(refused(&place(INPUT_IDS), reason))
}

/// Number of tokens in a row: the leading ones of its mask.
fn masked_length(mask: &[i64], row: usize) -> Result<usize, ServiceError> {
    let length = mask.iter().take_while(|value| **value == 1).count();
    let at = |index: usize, reason: &str| {
        Err(refused(
            &format!("`{ATTENTION_MASK}[{row}, {index}]`"),
            reason.to_owned(),
        ))
    };
    if length == 0 {
        return at(
            0,
            "each row must begin with a token, a one in the mask; padding belongs on the right",
        );
    }
    match mask.iter().skip(length).position(|value| *value != 0) {
        None => Ok(length),
        Some(offset) => at(
            length + offset,
            "a row of the mask must be ones, then zeros; padding belongs on the right",
        ),
    }
}

impl Sequence {
    /// Checks ids and types as they were sent. `index` gives a token's index in the tensor, for errors.
    pub(super) fn checked(
        model: &LoadedModel,
        ids: &[i64],
        types: Option<&[i64]>,
        index: impl Fn(usize) -> String,
    ) -> Result<Self, ServiceError> {
        let vocabulary = model.tokenizer.vocabulary_size();
        let id = |(at, &id): (usize, &i64)| {
            let known = u32::try_from(id).ok();
            known
                .filter(|id| (*id as usize) < vocabulary)
                .ok_or_else(|| {
                    let reason = format!(
                        "it is {id}, and the model's token ids go from 0 to {}",
                        vocabulary - 1
                    );
                    refused(&format!("`{INPUT_IDS}{}`", index(at)), reason)
                })
        };
        // Sequences hold types as bytes; no model has more than 256.
        let types_known = model.info.token_types.min(1 << u8::BITS);
        let kind = |(at, &kind): (usize, &i64)| {
            let known = u8::try_from(kind).ok();
            known
                .filter(|kind| usize::from(*kind) < types_known)
                .ok_or_else(|| {
                    let most = types_known.saturating_sub(1);
                    let reason =
                        format!("it is {kind}, and the model's token types go from 0 to {most}");
                    refused(&format!("`{TOKEN_TYPE_IDS}{}`", index(at)), reason)
                })
        };
        Ok(Self {
            ids: ids.iter().enumerate().map(id).collect::<Result<_, _>>()?,
            type_ids: match types {
                Some(types) => types
                    .iter()
                    .enumerate()
                    .map(kind)
                    .collect::<Result<_, _>>()?,
                None => vec![0; ids.len()],
            },
        })
    }
}

/// Logits per token, or per sequence for classify.
pub(super) fn width(model: &LoadedModel) -> usize {
    match model.info.task {
        Task::Discriminate => 1,
        Task::Qa => 2,
        Task::Classify | Task::Tag => model.info.labels.len(),
    }
}

fn tensor(
    model: &LoadedModel,
    name: &str,
    longest: usize,
    outputs: &[SequenceOutput],
) -> Result<Tensor, ServiceError> {
    let rows = outputs.len();
    let labels = width(model);
    let all = outputs.iter().map(|output| output.logits.as_slice());
    let shaped =
        |shape: &[usize], logits| Tensor::rows(name, rows, shape, TensorData::Fp32(logits));
    match model.info.task {
        Task::Discriminate => shaped(&[longest], filled(all, longest)),
        Task::Classify => shaped(&[labels], all.flatten().copied().collect()),
        Task::Tag => shaped(&[longest, labels], filled(all, longest * labels)),
        Task::Qa => {
            // Start and end logits of a token alternate.
            let column = usize::from(name == END_LOGITS);
            let columns: Vec<Vec<f32>> = all
                .map(|logits| logits.iter().skip(column).step_by(2).copied().collect())
                .collect();
            shaped(
                &[longest],
                filled(columns.iter().map(Vec::as_slice), longest),
            )
        }
    }
}

/// Concatenates rows, each padded with zeros to `width`.
fn filled<'l>(rows: impl Iterator<Item = &'l [f32]>, width: usize) -> Vec<f32> {
    let mut all = Vec::new();
    for (row, logits) in rows.enumerate() {
        all.extend_from_slice(logits);
        all.resize((row + 1) * width, 0.0);
    }
    all
}
