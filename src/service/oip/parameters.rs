//! Parameters of requests and tensors: names, values and effects.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::batch::Priority;
use crate::error::ServiceError;
use crate::quote::quoted;
use crate::service::classify::ClassifyRequest;
use crate::service::context::RequestContext;
use crate::service::discriminate::DiscriminateRequest;
use crate::service::operation::{RequestOption, TaskOperation};
use crate::service::qa::QaRequest;
use crate::service::tag::TagRequest;
use crate::suggest::{nearer, suggestion};
use crate::task::Task;

pub type Parameters = BTreeMap<String, ParameterValue>;

/// The value of a parameter, from either transport.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    Bool(bool),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    String(String),
    /// Null, which counts as absent.
    Null,
    /// A list, an object, or an unknown type. No parameter of this server accepts it.
    Other,
}

/// Request parameters of the protocol.
const PRIORITY: &str = "priority";
const TIMEOUT: &str = "timeout";
const BINARY_DATA_OUTPUT: &str = "binary_data_output";
/// Tensor parameters of the protocol.
const BINARY_DATA: &str = "binary_data";
const BINARY_DATA_SIZE: &str = "binary_data_size";
/// Parameters of the protocol that this server does not support.
const CLASSIFICATION: &str = "classification";
const SHARED_MEMORY: &str = "shared_memory_";

/// `MLServer`'s clients declare with it that elements are encoded. The values below mean plain numbers and strings,
/// which is how this server reads elements.
const CONTENT_TYPE: &str = "content_type";
const PLAIN_CONTENT: [&str; 3] = ["str", "np", "pd"];

/// A field of native requests that this protocol puts elsewhere.
const MODEL: &str = "model";

/// An unknown name within fewer edits of a known one counts as misspelt.
const FEWEST_EDITS: usize = 3;

/// transformers' names for options of this server. Clients that send one expect its effect.
const PIPELINE_NAMES: [(&str, &str); 9] = [
    ("aggregation_strategy", "aggregation"),
    ("grouped_entities", "aggregation"),
    ("ignore_subwords", "aggregation"),
    ("return_all_scores", "top_k"),
    ("function_to_apply", "function"),
    ("truncation", "truncate"),
    ("handle_impossible_answer", "no_answer"),
    ("max_answer_len", "max_answer_tokens"),
    ("doc_stride", "stride"),
];

/// A task's options, named as in its native route.
pub(super) fn options(task: Task) -> &'static [RequestOption] {
    match task {
        Task::Discriminate => DiscriminateRequest::OPTIONS,
        Task::Classify => ClassifyRequest::OPTIONS,
        Task::Tag => TagRequest::OPTIONS,
        Task::Qa => QaRequest::OPTIONS,
    }
}

fn names(options: &[RequestOption]) -> Vec<&'static str> {
    options.iter().map(|option| option.name).collect()
}

/// Options of all tasks.
fn all_options() -> impl Iterator<Item = &'static str> + Clone {
    Task::ALL
        .into_iter()
        .flat_map(|task| options(task).iter().map(|option| option.name))
}

/// A request's parameters, parsed.
#[derive(Debug, Default)]
pub(super) struct RequestParameters {
    priority: Option<Priority>,
    timeout: Option<Duration>,
    /// Options of the task.
    pub options: serde_json::Map<String, Value>,
}

impl RequestParameters {
    /// Reads the parameters of a request to a model of this task.
    ///
    /// # Errors
    /// If a name is unknown, or a protocol parameter has an invalid value. The task itself checks the values of
    /// options.
    pub fn read(parameters: Parameters, task: Task) -> Result<Self, ServiceError> {
        let mut read = Self::default();
        let given = parameters.into_iter().filter(|(_, value)| value.is_given());
        for (name, value) in given {
            match name.as_str() {
                PRIORITY => read.priority = priority(&value)?,
                TIMEOUT => read.timeout = timeout(&value)?,
                // Only for HTTP, which has read it already. gRPC always sends raw outputs.
                BINARY_DATA_OUTPUT => drop(truth(&name, &value)?),
                _ => match options(task).iter().find(|option| option.name == name) {
                    Some(option) => {
                        let value = value.into_json(option.is_string).ok_or_else(|| {
                            let reason = "it must be true, false, a number or a string";
                            wrong_type(&name, reason)
                        })?;
                        read.options.insert(name, value);
                    }
                    None => check_request_parameter(&name, &value, task)?,
                },
            }
        }
        Ok(read)
    }

    /// Applies the parameters to the transport's context. Their priority overrides the transport's, and their timeout
    /// the default. If the transport sets a timeout too, the earlier deadline applies.
    pub fn context(&self, context: &RequestContext) -> RequestContext {
        let mut changed = context.clone();
        if let Some(priority) = self.priority {
            changed.priority = priority;
        }
        match self.timeout {
            Some(timeout) => changed.with_timeout(timeout),
            None => changed,
        }
    }
}

/// Reads a priority of 1 to 5. Clients send 0 to use the server's default.
fn priority(value: &ParameterValue) -> Result<Option<Priority>, ServiceError> {
    let refused = || {
        invalid(
            PRIORITY,
            "it must be 1 (highest), 2, 3, 4 or 5, or 0 for the default",
        )
    };
    match value.whole() {
        Some(0) => Ok(None),
        Some(number) => u8::try_from(number)
            .ok()
            .and_then(|number| Priority::try_from(number).ok())
            .map(Some)
            .ok_or_else(refused),
        None => Err(refused()),
    }
}

/// Reads a timeout in microseconds. Clients send 0 to use the server's default.
fn timeout(value: &ParameterValue) -> Result<Option<Duration>, ServiceError> {
    match value.whole() {
        Some(0) => Ok(None),
        Some(microseconds) => Ok(Some(Duration::from_micros(microseconds))),
        None => Err(invalid(
            TIMEOUT,
            "it must be a whole number of microseconds, or 0 for the default timeout",
        )),
    }
}

fn truth(name: &str, value: &ParameterValue) -> Result<bool, ServiceError> {
    match value {
        ParameterValue::Bool(value) => Ok(*value),
        _ => Err(wrong_type(name, "it must be true or false")),
    }
}

/// Checks a request parameter that is not an option of this task. Options of other tasks are refused, because they
/// would have no effect here.
fn check_request_parameter(
    name: &str,
    value: &ParameterValue,
    task: Task,
) -> Result<(), ServiceError> {
    let protocol = [PRIORITY, TIMEOUT, BINARY_DATA_OUTPUT];
    let known = all_options().chain(protocol);
    if all_options().any(|option| option == name) {
        return Err(refused(
            "`parameters`",
            name,
            format!(
                "The task {task} has no such option; its options are `{}`.",
                names(options(task)).join("`, `")
            ),
        ));
    }
    if name == MODEL {
        let hint = "The path, or over gRPC `model_name`, names the model.";
        return Err(refused("`parameters`", name, hint.to_owned()));
    }
    if let Some((_, ours)) = PIPELINE_NAMES.iter().find(|(theirs, _)| *theirs == name) {
        return Err(refused(
            "`parameters`",
            name,
            format!("Here it is called `{ours}`."),
        ));
    }
    check_ignored("`parameters`", name, value, known)
}

/// Checks a parameter that this server does not use. Clients of other servers add their own parameters to every
/// request; these are ignored. A name that may be a misspelt known one is refused. So is a parameter that would change
/// the meaning of the data or the answer.
fn check_ignored(
    place: &str,
    name: &str,
    value: &ParameterValue,
    ours: impl Iterator<Item = &'static str> + Clone,
) -> Result<(), ServiceError> {
    if all_options().any(|option| option == name) {
        let hint = "It is an option of the whole request: send it in the request's `parameters`.";
        return Err(refused(place, name, hint.to_owned()));
    }
    if name.starts_with(SHARED_MEMORY) {
        let hint = "This server shares no memory with its clients: send the data in the request, and read it from the \
                    answer.";
        return Err(refused(place, name, hint.to_owned()));
    }
    // Clients send zero to request the tensor itself.
    if name == CLASSIFICATION && value.whole() != Some(0) {
        let hint = "For texts, a classifier returns the outputs `label` and `score`, the best `top_k` of them.";
        return Err(refused(place, name, hint.to_owned()));
    }
    if name == CONTENT_TYPE {
        return match value {
            ParameterValue::String(kind) if PLAIN_CONTENT.contains(&kind.as_str()) => Ok(()),
            _ => Err(refused(
                place,
                name,
                format!(
                    "Elements are read as plain values, which is `{}`: leave it out, or send plain values.",
                    PLAIN_CONTENT.join("`, `")
                ),
            )),
        };
    }
    match nearer(&name.to_lowercase(), ours, FEWEST_EDITS) {
        None => Ok(()),
        Some(meant) => Err(refused(place, name, format!("Did you mean `{meant}`?"))),
    }
}

/// Whether outputs are sent as binary data by default.
///
/// # Errors
/// [`ServiceError::InvalidType`] if the parameter is neither true nor false.
pub fn binary_data_output(parameters: &Parameters) -> Result<bool, ServiceError> {
    parameters
        .get(BINARY_DATA_OUTPUT)
        .filter(|value| value.is_given())
        .map_or(Ok(false), |value| truth(BINARY_DATA_OUTPUT, value))
}

/// An output that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedOutput {
    pub name: String,
    /// Whether to send it as binary data, if the request says. Only for HTTP: gRPC outputs always are.
    pub binary: Option<bool>,
}

impl RequestedOutput {
    /// Reads a requested output and its parameters.
    ///
    /// # Errors
    /// If a parameter is unknown or has the wrong type.
    pub fn new(name: String, parameters: &Parameters) -> Result<Self, ServiceError> {
        let mut binary = None;
        let place = format!("The output `{}`'s `parameters`", quoted(&name));
        for (parameter, value) in given(parameters) {
            match (parameter.as_str(), value) {
                (BINARY_DATA, value) => binary = Some(truth(BINARY_DATA, value)?),
                (other, value) => check_ignored(&place, other, value, [BINARY_DATA].into_iter())?,
            }
        }
        Ok(Self { name, binary })
    }
}

/// How many bytes of the binary data after the JSON belong to an input. `None` if its data is in the JSON.
///
/// # Errors
/// If a parameter is unknown, or the size is invalid.
pub fn binary_data_size(
    input: &str,
    parameters: &Parameters,
) -> Result<Option<usize>, ServiceError> {
    let mut size = None;
    for (parameter, value) in given(parameters) {
        if parameter != BINARY_DATA_SIZE {
            let place = format!("The input `{}`'s `parameters`", quoted(input));
            check_ignored(&place, parameter, value, [BINARY_DATA_SIZE].into_iter())?;
            continue;
        }
        let bytes = value.whole().and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| ServiceError::InvalidValue {
            place: format!("The input `{}`'s `{BINARY_DATA_SIZE}`", quoted(input)),
            reason: "it must be a whole number of bytes".to_owned(),
        })?;
        size = Some(bytes);
    }
    Ok(size)
}

/// Refuses task options if they would have no effect.
///
/// # Errors
/// [`ServiceError::InvalidValue`] if there is an option.
pub(super) fn refuse_options(options: &serde_json::Map<String, Value>) -> Result<(), ServiceError> {
    match options.keys().next() {
        None => Ok(()),
        Some(name) => Err(invalid(
            name,
            "token ids are answered with logits, which it does not change; send texts, or leave it out",
        )),
    }
}

/// Checks that the only parameter, if any, is `known`, with the value true or false.
///
/// # Errors
/// If there is another parameter, or the value has another type.
pub(super) fn only_truth(parameters: &Parameters, known: &'static str) -> Result<(), ServiceError> {
    given(parameters).try_for_each(|(name, value)| {
        if name == known {
            return truth(name, value).map(drop);
        }
        Err(refused(
            "`parameters`",
            name,
            suggestion(name, [known].into_iter()),
        ))
    })
}

/// Parameters with a value. Null counts as absent.
fn given(parameters: &Parameters) -> impl Iterator<Item = (&String, &ParameterValue)> {
    parameters.iter().filter(|(_, value)| value.is_given())
}

fn refused(place: &str, field: &str, hint: String) -> ServiceError {
    ServiceError::UnknownField {
        place: place.to_owned(),
        field: field.to_owned(),
        hint,
    }
}

fn invalid(name: &str, reason: &str) -> ServiceError {
    ServiceError::InvalidValue {
        place: format!("`parameters.{}`", quoted(name)),
        reason: reason.to_owned(),
    }
}

fn wrong_type(name: &str, reason: &str) -> ServiceError {
    ServiceError::InvalidType {
        place: format!("`parameters.{}`", quoted(name)),
        reason: reason.to_owned(),
    }
}

impl ParameterValue {
    pub(super) fn is_given(&self) -> bool {
        *self != Self::Null
    }

    /// A whole number that is not negative. Numbers sent as strings are accepted.
    fn whole(&self) -> Option<u64> {
        match self {
            Self::Int64(number) => u64::try_from(*number).ok(),
            Self::Uint64(number) => Some(*number),
            Self::String(text) => text.parse().ok(),
            Self::Bool(_) | Self::Double(_) | Self::Null | Self::Other => None,
        }
    }

    /// The value as a native route's JSON would hold it. `None` if no option can have it.
    fn into_json(self, is_string: bool) -> Option<Value> {
        match self {
            Self::Bool(value) => Some(value.into()),
            Self::Int64(number) => Some(number.into()),
            Self::Uint64(number) => Some(number.into()),
            Self::Double(number) => Some(number.into()),
            Self::String(text) => Some(match serde_json::from_str(&text) {
                Ok(value @ (Value::Number(_) | Value::Bool(_))) if !is_string => value,
                _ => text.into(),
            }),
            Self::Null | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for ParameterValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = ParameterValue;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(ParameterValue::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ParameterValue::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(ParameterValue::Other)
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(ParameterValue::Bool(value))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(ParameterValue::Int64(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(ParameterValue::Uint64(number))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(ParameterValue::Double(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ParameterValue::String(text.to_owned()))
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}

#[cfg(test)]
mod tests;
