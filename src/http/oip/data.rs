//! Tensor elements in JSON: flat or nested lists, each number checked against the tensor's datatype. Pure.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::ServiceError;
use crate::service::oip::{Datatype, TensorData};

/// Reads a list. `place` is its path in the body, for errors.
///
/// # Errors
/// [`ServiceError::InvalidType`] if an element does not fit the tensor's datatype.
pub fn read(value: Value, datatype: Datatype, place: &str) -> Result<TensorData, ServiceError> {
    let Value::Array(elements) = value else {
        return Err(wrong_type(place, &value, "a list of the tensor's elements"));
    };
    let whole = "a whole number";
    match datatype {
        Datatype::Bool => collect(elements, place, "true or false", &|value| value.as_bool())
            .map(TensorData::Bool),
        Datatype::Int32 => collect(elements, place, "a whole number of 32 bits", &|value| {
            value.as_i64().and_then(|number| number.try_into().ok())
        })
        .map(TensorData::Int32),
        Datatype::Int64 => {
            collect(elements, place, whole, &|value| value.as_i64()).map(TensorData::Int64)
        }
        Datatype::Fp32 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "JSON's numbers are doubles, the tensor's are not"
            )]
            let float = |value: Value| value.as_f64().map(|number| number as f32);
            collect(elements, place, "a number", &float).map(TensorData::Fp32)
        }
        Datatype::Bytes => collect(elements, place, "a string", &|value| match value {
            Value::String(text) => Some(text.into_bytes()),
            _ => None,
        })
        .map(TensorData::Bytes),
    }
}

fn collect<E>(
    elements: Vec<Value>,
    place: &str,
    wanted: &str,
    convert: &impl Fn(Value) -> Option<E>,
) -> Result<Vec<E>, ServiceError> {
    let mut found = Vec::with_capacity(elements.len());
    flatten(elements, place, wanted, convert, &mut found)?;
    Ok(found)
}

/// The recursion is bounded: the JSON parser limits nesting.
fn flatten<E>(
    elements: Vec<Value>,
    place: &str,
    wanted: &str,
    convert: &impl Fn(Value) -> Option<E>,
    found: &mut Vec<E>,
) -> Result<(), ServiceError> {
    for (index, element) in elements.into_iter().enumerate() {
        match element {
            Value::Array(elements) => {
                flatten(
                    elements,
                    &format!("{place}[{index}]"),
                    wanted,
                    convert,
                    found,
                )?;
            }
            element => {
                let kind = kind(&element);
                let element = convert(element).ok_or_else(|| ServiceError::InvalidType {
                    place: format!("`{place}[{index}]`"),
                    reason: format!("it is {kind}, and the tensor's datatype requires {wanted}"),
                })?;
                found.push(element);
            }
        }
    }
    Ok(())
}

fn wrong_type(place: &str, found: &Value, wanted: &str) -> ServiceError {
    ServiceError::InvalidType {
        place: format!("`{place}`"),
        reason: format!("it is {}, and must be {wanted}", kind(found)),
    }
}

/// Describes a value in an error. Numbers are quoted as they are, because they may be out of range.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Serializes elements as one flat JSON list.
pub struct Flat<'a>(pub &'a TensorData);

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            TensorData::Bool(elements) => elements.serialize(serializer),
            TensorData::Int32(elements) => elements.serialize(serializer),
            TensorData::Int64(elements) => elements.serialize(serializer),
            TensorData::Fp32(elements) => elements.serialize(serializer),
            TensorData::Bytes(elements) => {
                serializer.collect_seq(elements.iter().map(|text| String::from_utf8_lossy(text)))
            }
        }
    }
}
