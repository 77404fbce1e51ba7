//! Parameters of requests and tensors: which there are, and what they mean.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Value;

use crate::batch::Priority;
use crate::error::ServiceError;
use crate::service::RequestContext;
use crate::suggest::suggestion;
use crate::task::Task;

/// Parameters by name.
pub type Parameters = BTreeMap<String, ParameterValue>;

/// The value of a parameter, as either transport has it.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int64(i64),
    /// A whole number.
    Uint64(u64),
    /// A number.
    Double(f64),
    /// A text.
    String(String),
}

/// What the protocol itself defines for requests.
const PRIORITY: &str = "priority";
const TIMEOUT: &str = "timeout";
const BINARY_DATA_OUTPUT: &str = "binary_data_output";
/// Of streams of answers to one request: `perf_analyzer` sends it with every request over gRPC.
const EMPTY_FINAL_RESPONSE: &str = "triton_enable_empty_final_response";
const SEQUENCE: [&str; 3] = ["sequence_id", "sequence_start", "sequence_end"];
/// What it defines for tensors.
const BINARY_DATA: &str = "binary_data";
const BINARY_DATA_SIZE: &str = "binary_data_size";
const CLASSIFICATION: &str = "classification";

/// Options whose values are words; those of the others are numbers or truth values, which some clients can only send as text.
const WORDS: [&str; 4] = ["level", "function", "aggregation", "offsets"];

/// A task's own options, by their names in its native route.
pub(super) fn options(task: Task) -> &'static [&'static str] {
    match task {
        Task::Discriminate => &["threshold", "level", "offsets"],
        Task::Classify => &["top_k", "function", "truncate"],
        Task::Tag => &["aggregation", "offsets"],
        Task::Qa => &[
            "top_k",
            "no_answer",
            "max_answer_tokens",
            "stride",
            "offsets",
        ],
    }
}

/// A request's parameters, sorted by what they concern.
#[derive(Debug, Default)]
pub(super) struct RequestParameters {
    priority: Option<Priority>,
    timeout: Option<Duration>,
    /// The task's own options.
    pub options: serde_json::Map<String, Value>,
}

impl RequestParameters {
    /// Sorts the parameters of a request to a model of this task.
    ///
    /// # Errors
    /// Unknown names, and unusable values of what the protocol defines; those of options are found by the task itself.
    pub fn read(parameters: Parameters, task: Task) -> Result<Self, ServiceError> {
        let mut read = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                PRIORITY => read.priority = priority(&value)?,
                TIMEOUT => read.timeout = timeout(&value)?,
                // One is of HTTP alone, which has read it by now: over gRPC all outputs are raw. The other is of streams:
                // here the one answer is the final one.
                BINARY_DATA_OUTPUT | EMPTY_FINAL_RESPONSE => drop(truth(&name, &value)?),
                sequence if SEQUENCE.contains(&sequence) => no_sequence(&name, &value)?,
                option if options(task).contains(&option) => {
                    let value = value.into_json(WORDS.contains(&option));
                    read.options.insert(name, value);
                }
                _ => {
                    let protocol = [PRIORITY, TIMEOUT, BINARY_DATA_OUTPUT];
                    let known = options(task).iter().copied().chain(protocol);
                    return Err(unknown("`parameters`", name, known));
                }
            }
        }
        Ok(read)
    }

    /// The request's context with what the parameters say of it: their priority goes before the transport's, and their
    /// timeout before the usual one; of two that are asked for the sooner holds.
    pub fn context(&self, context: &RequestContext) -> RequestContext {
        let mut changed = *context;
        if let Some(priority) = self.priority {
            changed.priority = priority;
        }
        match self.timeout {
            Some(timeout) => changed.asking(timeout),
            None => changed,
        }
    }
}

/// 1 to 5; 0 is what clients send who leave it to the server.
fn priority(value: &ParameterValue) -> Result<Option<Priority>, ServiceError> {
    let refused = || {
        invalid(
            PRIORITY,
            "it must be 1 (highest), 2, 3, 4 or 5, or 0 for the usual one",
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

/// In microseconds; 0 is what clients send who leave it to the server.
fn timeout(value: &ParameterValue) -> Result<Option<Duration>, ServiceError> {
    match value.whole() {
        Some(0) => Ok(None),
        Some(microseconds) => Ok(Some(Duration::from_micros(microseconds))),
        None => Err(invalid(
            TIMEOUT,
            "it must be a whole number of microseconds, or 0 for the usual deadline",
        )),
    }
}

/// Each request is complete in itself; clients that say so are not refused for it.
fn no_sequence(name: &str, value: &ParameterValue) -> Result<(), ServiceError> {
    let none = match value {
        ParameterValue::Bool(value) => !value,
        ParameterValue::String(value) => value.is_empty(),
        number => number.whole() == Some(0),
    };
    if none {
        return Ok(());
    }
    Err(invalid(
        name,
        "no model here keeps a state between the requests of a sequence; leave it out",
    ))
}

fn truth(name: &str, value: &ParameterValue) -> Result<bool, ServiceError> {
    match value {
        ParameterValue::Bool(value) => Ok(*value),
        _ => Err(ServiceError::InvalidType {
            place: format!("`parameters.{name}`"),
            reason: "it must be true or false".to_owned(),
        }),
    }
}

/// Whether a request wants its outputs in binary where they don't say themselves.
///
/// # Errors
/// [`ServiceError::InvalidType`].
pub fn binary_data_output(parameters: &Parameters) -> Result<bool, ServiceError> {
    parameters
        .get(BINARY_DATA_OUTPUT)
        .map_or(Ok(false), |value| truth(BINARY_DATA_OUTPUT, value))
}

/// An output that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// Whether it is wanted in binary, where the request says; over gRPC all outputs are.
    pub binary: Option<bool>,
}

impl RequestedOutput {
    /// An output asked for with these parameters.
    ///
    /// # Errors
    /// Unknown parameters, wrong types.
    pub fn new(name: String, parameters: &Parameters) -> Result<Self, ServiceError> {
        let mut binary = None;
        for (parameter, value) in parameters {
            match parameter.as_str() {
                BINARY_DATA => binary = Some(truth(BINARY_DATA, value)?),
                // How often clients say that they want the tensor itself.
                CLASSIFICATION if value.whole() == Some(0) => {}
                _ => {
                    return Err(unknown(
                        &format!("The output `{name}`'s `parameters`"),
                        parameter.clone(),
                        [BINARY_DATA].into_iter(),
                    ));
                }
            }
        }
        Ok(Self { name, binary })
    }
}

/// How many bytes of the binary data behind a request's JSON an input takes, if it is not in the JSON itself.
///
/// # Errors
/// Unknown parameters, unusable sizes.
pub fn binary_data_size(
    input: &str,
    parameters: &Parameters,
) -> Result<Option<usize>, ServiceError> {
    let mut size = None;
    for (parameter, value) in parameters {
        if parameter != BINARY_DATA_SIZE {
            return Err(unknown(
                &format!("The input `{input}`'s `parameters`"),
                parameter.clone(),
                [BINARY_DATA_SIZE].into_iter(),
            ));
        }
        let bytes = value.whole().and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| ServiceError::InvalidValue {
            place: format!("The input `{input}`'s `{BINARY_DATA_SIZE}`"),
            reason: "it must be a whole number of bytes".to_owned(),
        })?;
        size = Some(bytes);
    }
    Ok(size)
}

/// Refuses a task's options where there is nothing that they could change.
///
/// # Errors
/// [`ServiceError::InvalidValue`].
pub(super) fn refuse_options(options: &serde_json::Map<String, Value>) -> Result<(), ServiceError> {
    match options.keys().next() {
        None => Ok(()),
        Some(name) => Err(invalid(
            name,
            "token ids are answered by logits, which it changes nothing of; send texts, or leave it out",
        )),
    }
}

/// Checks that there is at most one parameter, of this name, and true or false.
///
/// # Errors
/// Any other name, any other type.
pub(super) fn only_truth(parameters: &Parameters, known: &'static str) -> Result<(), ServiceError> {
    parameters.iter().try_for_each(|(name, value)| {
        if name == known {
            return truth(name, value).map(drop);
        }
        Err(unknown("`parameters`", name.clone(), [known].into_iter()))
    })
}

fn unknown(
    place: &str,
    field: String,
    known: impl Iterator<Item = &'static str> + Clone,
) -> ServiceError {
    ServiceError::UnknownField {
        place: place.to_owned(),
        hint: suggestion(&field, known),
        field,
    }
}

fn invalid(name: &str, reason: &str) -> ServiceError {
    ServiceError::InvalidValue {
        place: format!("`parameters.{name}`"),
        reason: reason.to_owned(),
    }
}

impl ParameterValue {
    /// A whole number that is not negative, also where it came as text.
    fn whole(&self) -> Option<u64> {
        match self {
            Self::Int64(number) => u64::try_from(*number).ok(),
            Self::Uint64(number) => Some(*number),
            Self::String(text) => text.parse().ok(),
            Self::Bool(_) | Self::Double(_) => None,
        }
    }

    /// As a native route's JSON would have it.
    fn into_json(self, is_word: bool) -> Value {
        match self {
            Self::Bool(value) => value.into(),
            Self::Int64(number) => number.into(),
            Self::Uint64(number) => number.into(),
            Self::Double(number) => number.into(),
            Self::String(text) => match serde_json::from_str(&text) {
                Ok(value @ (Value::Number(_) | Value::Bool(_))) if !is_word => value,
                _ => text.into(),
            },
        }
    }
}

impl<'de> Deserialize<'de> for ParameterValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl Visitor<'_> for ValueVisitor {
            type Value = ParameterValue;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false, a number or a string")
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
#[path = "parameters_tests.rs"]
mod tests;
