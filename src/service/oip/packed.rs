//! Packed token ids: all sequences back to back, with the start of each. Works with padded graphs too.

use std::sync::Arc;

use super::inputs::{NamedTensors, integers, place, refused};
use super::names::{
    self, ATTENTION_MASK, INPUT_IDS, LOGITS, POSITION_IDS, SEQUENCE_STARTS, TOKEN_TYPE_IDS,
};
use super::parameters::RequestedOutput;
use super::raw::{check_length, check_rows, width};
use super::tensor::{Tensor, TensorData};
use crate::batch::SequenceOutput;
use crate::error::ServiceError;
use crate::inference::Sequence;
use crate::numbers::signed;
use crate::quote::quoted_numbers;
use crate::registry::LoadedModel;
use crate::service::chunk::Chunk;
use crate::service::steps::{Steps, joined};
use crate::service::{RequestContext, Service, Timings};
use crate::task::Task;

/// Answers packed token ids with packed logits.
pub async fn infer(
    service: &Service,
    model: &Arc<LoadedModel>,
    inputs: NamedTensors,
    wanted: &[RequestedOutput],
    context: &RequestContext,
) -> Result<(Vec<Tensor>, Timings), ServiceError> {
    names::wanted(wanted, &[LOGITS])?;
    let chunks = Chunk::of_tokens(inputs.elements(INPUT_IDS), inputs);
    let steps = Steps {
        prepare: |model: &LoadedModel, inputs| Ok(((), sequences(model, inputs)?)),
        decode: |model: &LoadedModel, (), outputs: Vec<SequenceOutput>| {
            logits(model, &outputs).map(|tensor| vec![tensor])
        },
    };
    let outcome = service.run_steps(model, chunks, steps, context).await?;
    Ok(joined(outcome))
}

fn sequences(model: &LoadedModel, mut inputs: NamedTensors) -> Result<Vec<Sequence>, ServiceError> {
    if inputs.get(ATTENTION_MASK).is_some() {
        return Err(refused(
            &place(ATTENTION_MASK),
            format!(
                "it is sent together with `{SEQUENCE_STARTS}`, which says where sequences end; leave it out"
            ),
        ));
    }
    let mut take = |name: &'static str| match inputs.take(name) {
        Some(tensor) if tensor.shape().len() != 1 => Err(refused(
            &place(name),
            format!(
                "its shape is {}, and with `{SEQUENCE_STARTS}` it must have one dimension",
                quoted_numbers(tensor.shape())
            ),
        )),
        Some(tensor) => integers(tensor).map(Some),
        None => Ok(None),
    };
    let ids = take(INPUT_IDS)?.unwrap_or_default();
    let starts = take(SEQUENCE_STARTS)?.unwrap_or_default();
    let types = of_length(TOKEN_TYPE_IDS, take(TOKEN_TYPE_IDS)?, ids.len())?;
    let positions = of_length(POSITION_IDS, take(POSITION_IDS)?, ids.len())?;
    check_rows(model, starts.len().saturating_sub(1), 1)?;
    if starts.first() != Some(&0) || starts.last() != Some(&signed(ids.len())) {
        let reason = format!(
            "it must begin with 0 and end with the number of tokens, {}",
            ids.len()
        );
        return Err(refused(&place(SEQUENCE_STARTS), reason));
    }
    let sequence = |bounds: &[i64]| {
        let bound = |index: usize| {
            let bound = bounds
                .get(index)
                .and_then(|bound| usize::try_from(*bound).ok());
            bound.filter(|bound| *bound <= ids.len())
        };
        let range = bound(0)
            .zip(bound(1))
            .filter(|(start, end)| start < end)
            .map(|(start, end)| start..end)
            .ok_or_else(|| {
                let reason = format!("{bounds:?} follow each other in it, and each start must be above the one before");
                refused(&place(SEQUENCE_STARTS), reason)
            })?;
        check_length(model, range.len())?;
        let start = range.start;
        let part = |numbers: &'_ Vec<i64>| numbers.get(range.clone()).map(<[i64]>::to_vec);
        check_positions(positions.as_ref().and_then(part), start)?;
        let types = types.as_ref().and_then(part);
        let ids = part(&ids).unwrap_or_default();
        Sequence::checked(model, &ids, types.as_deref(), |at| {
            format!("[{}]", start + at)
        })
    };
    starts.windows(2).map(sequence).collect()
}

fn of_length(
    name: &str,
    numbers: Option<Vec<i64>>,
    length: usize,
) -> Result<Option<Vec<i64>>, ServiceError> {
    match numbers {
        Some(numbers) if numbers.len() != length => Err(refused(
            &place(name),
            format!(
                "it has {} elements, and `{INPUT_IDS}` {length}",
                numbers.len()
            ),
        )),
        numbers => Ok(numbers),
    }
}

/// The server counts positions itself. If a client sends them, they must be the same.
fn check_positions(positions: Option<Vec<i64>>, start: usize) -> Result<(), ServiceError> {
    let positions = positions.unwrap_or_default();
    let wrong = (0..)
        .zip(&positions)
        .find(|(wanted, found)| signed(*wanted) != **found);
    match wrong {
        None => Ok(()),
        Some((wanted, found)) => Err(refused(
            &format!("`{POSITION_IDS}[{}]`", start + wanted),
            format!("it is {found}, and positions count from 0 in each sequence: {wanted}"),
        )),
    }
}

/// `[tokens]` for discriminate, `[sequences, labels]` for classify, `[tokens, labels]` for tag, `[tokens, 2]` for qa.
fn logits(model: &LoadedModel, outputs: &[SequenceOutput]) -> Result<Tensor, ServiceError> {
    let width = width(model);
    let all = outputs.iter().flat_map(|output| &output.logits).copied();
    let all: Vec<f32> = all.collect();
    let rows = all.len().checked_div(width).unwrap_or_default();
    let row: &[usize] = match model.info.task {
        Task::Discriminate => &[],
        Task::Classify | Task::Tag | Task::Qa => &[width],
    };
    Tensor::rows(LOGITS, rows, row, TensorData::Fp32(all))
}
