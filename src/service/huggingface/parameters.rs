//! Parameters that pipelines share: how they are read, and which are ignored or refused.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, Error, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::input::Object;
use super::super::json;
use crate::error::ServiceError;
use crate::fields::Count;

/// A parameter of a pipeline or its tokenizer that this server cannot honour, and the reason.
pub(super) type Refused = (&'static str, &'static str);

/// Reads the field `parameters`. A null parameter counts as absent, unless its own type gives null a meaning.
pub(super) fn read<T: DeserializeOwned + Default>(
    value: Option<Value>,
    refused: &[Refused],
) -> Result<T, ServiceError> {
    let mut value = match value {
        None | Some(Value::Null) => return Ok(T::default()),
        Some(value) => value,
    };
    if let Some(given) = value.as_object_mut() {
        for (name, reason) in refused {
            match given.remove(*name) {
                None | Some(Value::Null) => {}
                Some(_) => return Err(unusable(name, (*reason).to_owned())),
            }
        }
    }
    json::read(value, "parameters").map(|Object(parameters)| parameters)
}

/// The error of a parameter with an invalid value.
pub(super) fn unusable(name: &str, reason: String) -> ServiceError {
    ServiceError::InvalidValue {
        place: format!("`parameters.{name}`"),
        reason,
    }
}

/// Batch size, which every pipeline accepts. It changes no answer, and the server batches requests itself.
pub(super) type BatchSize = Count<1>;
/// Number of processes that read inputs. Ignored for the same reason.
pub(super) type NumWorkers = Count<0>;

/// True, false, or a name, as tokenizers accept for `truncation` and `padding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch<T> {
    Off,
    On,
    Named(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for SwitchVisitor<T> {
            type Value = Switch<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false or a string")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(if value { Switch::On } else { Switch::Off })
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                let name: StrDeserializer<'_, E> = name.into_deserializer();
                T::deserialize(name).map(Switch::Named)
            }
        }

        deserializer.deserialize_any(SwitchVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}Switch", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [bool::json_schema(generator), T::json_schema(generator)]})
    }
}

/// Which text of an input is truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "snake_case")]
pub(super) enum Truncation {
    LongestFirst,
    OnlyFirst,
    OnlySecond,
    DoNotTruncate,
}

/// The length to which inputs are padded. No effect on the answer: padding is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "snake_case")]
pub(super) enum Padding {
    Longest,
    MaxLength,
    DoNotPad,
}

/// Reads a name in upper, lower or mixed case, as transformers does for its enums. Fields read with this have
/// `x-any-case` in their schema.
pub(super) fn any_case<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let read = |name: String| {
        let name: StringDeserializer<D::Error> = name.to_ascii_lowercase().into_deserializer();
        T::deserialize(name)
    };
    name.map(read).transpose()
}
