//! Texts in BYTES tensors: run by the task's operation, whose results become tensors.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::decoded::{self, Decoded};
use super::inputs::{NamedTensors, place, refused};
use super::names::{self, CONTEXT, QUESTION, TEXT, TEXT_PAIR};
use super::parameters::RequestedOutput;
use super::tensor::{Tensor, TensorData};
use crate::error::ServiceError;
use crate::limits::Limits;
use crate::quote::quoted_numbers;
use crate::registry::LoadedModel;
use crate::service::classify::{ClassifyInput, ClassifyRequest};
use crate::service::context::RequestContext;
use crate::service::cost;
use crate::service::discriminate::DiscriminateRequest;
use crate::service::handle::Service;
use crate::service::input::Inputs;
use crate::service::json;
use crate::service::operation::TaskOperation;
use crate::service::qa::{QaItem, QaRequest};
use crate::service::tag::TagRequest;
use crate::service::timings::Timings;
use crate::task::Task;

/// A task whose inputs can come in tensors.
trait FromTensors: TaskOperation<Result: Decoded> {
    /// Field of the JSON request that holds the inputs.
    const INPUTS: &'static str = "text";

    /// Inputs that `take` removes from the tensors, and `put` adds to a request that has none yet.
    type Taken;
    fn take(tensors: &mut NamedTensors, limits: &Limits) -> Result<Self::Taken, ServiceError>;
    fn put(&mut self, inputs: Self::Taken);
}

impl FromTensors for DiscriminateRequest {
    type Taken = Vec<String>;

    fn take(tensors: &mut NamedTensors, limits: &Limits) -> Result<Vec<String>, ServiceError> {
        texts(tensors, TEXT, limits)
    }

    fn put(&mut self, texts: Vec<String>) {
        self.text = Inputs::many(texts);
    }
}

impl FromTensors for TagRequest {
    type Taken = Vec<String>;

    fn take(tensors: &mut NamedTensors, limits: &Limits) -> Result<Vec<String>, ServiceError> {
        texts(tensors, TEXT, limits)
    }

    fn put(&mut self, texts: Vec<String>) {
        self.text = Inputs::many(texts);
    }
}

impl FromTensors for ClassifyRequest {
    type Taken = Vec<ClassifyInput>;

    fn take(tensors: &mut NamedTensors, limits: &Limits) -> Result<Self::Taken, ServiceError> {
        let firsts = texts(tensors, TEXT, limits)?;
        if tensors.get(TEXT_PAIR).is_none() {
            return Ok(firsts.into_iter().map(ClassifyInput::Text).collect());
        }
        let seconds = texts(tensors, TEXT_PAIR, limits)?;
        same_count((TEXT, &firsts), (TEXT_PAIR, &seconds))?;
        let pair = |(first, second)| ClassifyInput::Pair(first, second);
        Ok(firsts.into_iter().zip(seconds).map(pair).collect())
    }

    fn put(&mut self, inputs: Self::Taken) {
        self.text = Inputs::many(inputs).by_part();
    }
}

impl FromTensors for QaRequest {
    const INPUTS: &'static str = "items";

    type Taken = Vec<QaItem>;

    fn take(tensors: &mut NamedTensors, limits: &Limits) -> Result<Self::Taken, ServiceError> {
        let questions = texts(tensors, QUESTION, limits)?;
        let contexts = texts(tensors, CONTEXT, limits)?;
        same_count((QUESTION, &questions), (CONTEXT, &contexts))?;
        let item = |(question, context)| QaItem { question, context };
        Ok(questions.into_iter().zip(contexts).map(item).collect())
    }

    fn put(&mut self, items: Self::Taken) {
        self.items = Some(Inputs::many(items).by_part());
    }
}

/// Answers texts with decoded outputs.
pub async fn infer(
    service: &Service,
    model: &Arc<LoadedModel>,
    tensors: NamedTensors,
    options: Map<String, Value>,
    wanted: &[RequestedOutput],
    context: &RequestContext,
) -> Result<(Vec<Tensor>, Timings), ServiceError> {
    let call = TextCall {
        tensors,
        options,
        wanted,
    };
    match model.info.task {
        Task::Discriminate => {
            call.answer::<DiscriminateRequest>(service, model, context)
                .await
        }
        Task::Classify => {
            call.answer::<ClassifyRequest>(service, model, context)
                .await
        }
        Task::Tag => call.answer::<TagRequest>(service, model, context).await,
        Task::Qa => call.answer::<QaRequest>(service, model, context).await,
    }
}

struct TextCall<'a> {
    tensors: NamedTensors,
    options: Map<String, Value>,
    wanted: &'a [RequestedOutput],
}

impl TextCall<'_> {
    async fn answer<O: FromTensors>(
        self,
        service: &Service,
        model: &Arc<LoadedModel>,
        context: &RequestContext,
    ) -> Result<(Vec<Tensor>, Timings), ServiceError> {
        let Self {
            tensors, options, ..
        } = self;
        let bytes = tensors.size();
        let limits = model.info.limits;
        let executor = service.executor();
        let read = move || request::<O>(tensors, options, &limits);
        let request = executor
            .run(context.client(), cost::parse(bytes), context.deadline, read)
            .await??;
        let answer = request.run(service, Arc::clone(model), context).await?;
        let results = answer.output.results;
        let names = names::wanted(self.wanted, &O::Result::outputs(&results))?;
        let write = move || decoded::tensors(&results, &names);
        let tensors = executor
            .run(
                context.client(),
                cost::write(bytes),
                context.deadline,
                write,
            )
            .await??;
        Ok((tensors, answer.timings))
    }
}

/// Builds a native request. Its options are parsed by the native route's code, so both accept the same values.
fn request<O: FromTensors>(
    mut tensors: NamedTensors,
    mut options: Map<String, Value>,
    limits: &Limits,
) -> Result<O, ServiceError> {
    let inputs = O::take(&mut tensors, limits)?;
    options.insert(O::INPUTS.to_owned(), Value::Array(Vec::new()));
    let mut request: O = json::from_value(Value::Object(options), "`parameters`")?;
    request.put(inputs);
    Ok(request)
}

fn same_count(
    (first, firsts): (&str, &[String]),
    (second, seconds): (&str, &[String]),
) -> Result<(), ServiceError> {
    if firsts.len() == seconds.len() {
        return Ok(());
    }
    Err(refused(
        &place(second),
        format!(
            "it has {} texts, and `{first}` has {}; send as many of each",
            seconds.len(),
            firsts.len()
        ),
    ))
}

/// The texts of a BYTES tensor of shape `[N]` or `[N, 1]`. N is bounded by the limit of inputs.
fn texts(
    tensors: &mut NamedTensors,
    name: &'static str,
    limits: &Limits,
) -> Result<Vec<String>, ServiceError> {
    let Some(tensor) = tensors.take(name) else {
        return Ok(Vec::new());
    };
    if !matches!(tensor.shape(), [_] | [_, 1]) {
        let reason = format!(
            "its shape is {}, and it must be [N] or [N, 1], one text per row",
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
        String::from_utf8(bytes).map_err(|error| {
            let position = error.utf8_error().valid_up_to();
            refused(
                &format!("`{name}[{index}]`"),
                format!("it is not valid UTF-8 at byte {position}"),
            )
        })
    };
    texts.into_iter().enumerate().map(text).collect()
}
