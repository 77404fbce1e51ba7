//! Texts: tensors to the requests of the native operations, and their results to tensors.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::decoded::{self, Decoded};
use super::inputs::{Named, place, refused};
use super::names::{self, CONTEXT, QUESTION, TEXT, TEXT_PAIR};
use super::parameters::RequestedOutput;
use super::tensor::{Tensor, TensorData};
use crate::error::ServiceError;
use crate::limits::Limits;
use crate::quote::quoted_numbers;
use crate::registry::LoadedModel;
use crate::service::{
    Answer, ClassifyRequest, Inputs, QaRequest, RequestContext, Service, Timings, json,
};
use crate::task::Task;

/// Answers texts by decoded outputs.
pub async fn infer(
    service: &Service,
    model: &Arc<LoadedModel>,
    mut inputs: Named,
    options: Map<String, Value>,
    wanted: &[RequestedOutput],
    context: &RequestContext,
) -> Result<(Vec<Tensor>, Timings), ServiceError> {
    let limits = &model.info.limits;
    let bytes = inputs.size();
    let model = Arc::clone(model);
    match model.info.task {
        Task::Discriminate => {
            let request = request(options, ("text", texts(&mut inputs, TEXT, limits)?))?;
            let answer = service.discriminate_by(&model, request, context).await?;
            tensors(service, answer, wanted, bytes, context).await
        }
        Task::Classify => {
            let texts = classify_inputs(&mut inputs, limits)?;
            let mut request: ClassifyRequest = request(options, ("text", texts))?;
            request.text = request.text.by_part();
            let answer = service.classify_by(&model, request, context).await?;
            tensors(service, answer, wanted, bytes, context).await
        }
        Task::Tag => {
            let request = request(options, ("text", texts(&mut inputs, TEXT, limits)?))?;
            let answer = service.tag_by(&model, request, context).await?;
            tensors(service, answer, wanted, bytes, context).await
        }
        Task::Qa => {
            let items = items(&mut inputs, limits)?;
            let mut request: QaRequest = request(options, ("items", items))?;
            request.items = request.items.map(Inputs::by_part);
            let answer = service.answer_by(&model, request, context).await?;
            tensors(service, answer, wanted, bytes, context).await
        }
    }
}

/// A native request of options and inputs: read as a native route reads it, so that the same is taken and refused.
fn request<R: DeserializeOwned>(
    mut options: Map<String, Value>,
    (field, inputs): (&str, Vec<Value>),
) -> Result<R, ServiceError> {
    options.insert(field.to_owned(), Value::Array(inputs));
    json::from_value(Value::Object(options), "`parameters`")
}

async fn tensors<R: Decoded + Serialize + Send + 'static>(
    service: &Service,
    answer: Answer<R>,
    wanted: &[RequestedOutput],
    bytes: usize,
    context: &RequestContext,
) -> Result<(Vec<Tensor>, Timings), ServiceError> {
    let names = names::wanted(wanted, &R::outputs(&answer.results))?;
    let timings = answer.timings;
    let make = move || decoded::tensors(&answer.results, &names);
    let tensors = service.compute(bytes, context.deadline, make).await??;
    Ok((tensors, timings))
}

fn classify_inputs(inputs: &mut Named, limits: &Limits) -> Result<Vec<Value>, ServiceError> {
    let firsts = texts(inputs, TEXT, limits)?;
    if inputs.get(TEXT_PAIR).is_none() {
        return Ok(firsts);
    }
    let seconds = texts(inputs, TEXT_PAIR, limits)?;
    same_count((TEXT, &firsts), (TEXT_PAIR, &seconds))?;
    let pair = |(first, second)| Value::Array(vec![first, second]);
    Ok(firsts.into_iter().zip(seconds).map(pair).collect())
}

fn items(inputs: &mut Named, limits: &Limits) -> Result<Vec<Value>, ServiceError> {
    let questions = texts(inputs, QUESTION, limits)?;
    let contexts = texts(inputs, CONTEXT, limits)?;
    same_count((QUESTION, &questions), (CONTEXT, &contexts))?;
    let item = |(question, context): (Value, Value)| {
        let fields = [(QUESTION, question), (CONTEXT, context)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        Value::Object(fields.into_iter().collect())
    };
    Ok(questions.into_iter().zip(contexts).map(item).collect())
}

fn same_count(
    (first, firsts): (&str, &[Value]),
    (second, seconds): (&str, &[Value]),
) -> Result<(), ServiceError> {
    if firsts.len() == seconds.len() {
        return Ok(());
    }
    Err(refused(
        &place(second),
        format!(
            "it has {} texts, and `{first}` {}; the two go by pairs",
            seconds.len(),
            firsts.len()
        ),
    ))
}

/// The texts of a BYTES tensor of shape `[N]` or `[N, 1]`, as many as a request may hold.
fn texts(
    inputs: &mut Named,
    name: &'static str,
    limits: &Limits,
) -> Result<Vec<Value>, ServiceError> {
    let Some(tensor) = inputs.take(name) else {
        return Ok(Vec::new());
    };
    if !matches!(tensor.shape(), [_] | [_, 1]) {
        let reason = format!(
            "its shape is {}, and it must be [N] or [N, 1], a text each",
            quoted_numbers(tensor.shape())
        );
        return Err(refused(&place(name), reason));
    }
    let texts = match tensor.into_data() {
        TensorData::Bytes(texts) => texts,
        other => {
            let reason = format!("its datatype is {}, and it must be BYTES", other.datatype());
            return Err(refused(&place(name), reason));
        }
    };
    match texts.len() {
        0 => return Err(ServiceError::EmptyInput { place: name }),
        count if count > limits.max_inputs => {
            return Err(ServiceError::TooManyInputs {
                place: name,
                count,
                limit: limits.max_inputs,
            });
        }
        _ => {}
    }
    let text = |(index, bytes): (usize, Vec<u8>)| {
        String::from_utf8(bytes)
            .map(Value::String)
            .map_err(|error| {
                let position = error.utf8_error().valid_up_to();
                refused(
                    &format!("`{name}[{index}]`"),
                    format!("it is not valid UTF-8 at byte {position}"),
                )
            })
    };
    texts.into_iter().enumerate().map(text).collect()
}
