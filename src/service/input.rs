//! Types that request fields share, and checks against the limits.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

use crate::error::ServiceError;
use crate::limits::Limits;

/// One input or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs<T> {
    items: Vec<T>,
    sent: Sent,
}

/// How inputs were sent. Errors use it to name their paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// A single input: `text`.
    Alone,
    /// In a list: `text[3]`.
    Listed,
    /// Each part in a list of its own: `text[3]` and `text_pair[3]`.
    ByPart,
}

/// No inputs, as of a request that is still without them.
impl<T> Default for Inputs<T> {
    fn default() -> Self {
        Self::many(Vec::new())
    }
}

impl<T> Inputs<T> {
    /// A single input, not in a list.
    pub fn one(item: T) -> Self {
        Self {
            items: vec![item],
            sent: Sent::Alone,
        }
    }

    /// Inputs in a list.
    #[must_use]
    pub fn many(items: Vec<T>) -> Self {
        Self {
            items,
            sent: Sent::Listed,
        }
    }

    /// Marks inputs whose parts came in separate lists.
    #[must_use]
    pub fn by_part(self) -> Self {
        Self {
            sent: Sent::ByPart,
            ..self
        }
    }

    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// Whether they came as a list. A list of one counts.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.sent != Sent::Alone
    }

    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.items
    }

    /// Path of an input in the request: `text`, or `text[3]`.
    #[must_use]
    pub fn place(&self, field: &str, index: usize) -> String {
        match self.sent {
            Sent::Alone => field.to_owned(),
            Sent::Listed | Sent::ByPart => format!("{field}[{index}]"),
        }
    }

    /// Path of a part of an input. If parts came in separate lists, it is in the list `name`; otherwise `in_item`, such
    /// as `[1]`, is appended to the input's path.
    #[must_use]
    pub fn place_of_part(&self, field: &str, index: usize, name: &str, in_item: &str) -> String {
        match self.sent {
            Sent::Alone | Sent::Listed => self.place(field, index) + in_item,
            Sent::ByPart => self.place(name, index),
        }
    }

    /// Path of a whole input with parts: `text[3]`, or `text[3] with text_pair[3]` if `names` came in separate lists.
    #[must_use]
    pub fn place_of_parts(&self, field: &str, index: usize, names: &[&str]) -> String {
        match self.sent {
            Sent::Alone | Sent::Listed => self.place(field, index),
            Sent::ByPart => {
                let places = names.iter().map(|name| self.place(name, index));
                places.collect::<Vec<_>>().join(" with ")
            }
        }
    }

    /// Checks the number of inputs.
    ///
    /// # Errors
    /// [`ServiceError::EmptyInput`] if there are none, [`ServiceError::TooManyInputs`] if there are more than the
    /// limit.
    pub fn check_count(&self, field: &'static str, limits: &Limits) -> Result<(), ServiceError> {
        match self.items.len() {
            0 => Err(ServiceError::EmptyInput { place: field }),
            count if count > limits.max_inputs => Err(ServiceError::TooManyInputs {
                place: field,
                count,
                limit: limits.max_inputs,
            }),
            _ => Ok(()),
        }
    }
}

impl Inputs<String> {
    /// Checks the number of texts and their lengths. Returns their total size in bytes.
    ///
    /// # Errors
    /// As [`Self::check_count`] and [`check_length`].
    pub fn check(&self, field: &'static str, limits: &Limits) -> Result<usize, ServiceError> {
        self.check_count(field, limits)?;
        for (index, text) in self.items.iter().enumerate() {
            check_length(text, limits, || self.place(field, index))?;
        }
        Ok(self.items.iter().map(String::len).sum())
    }
}

/// Checks the length of a text. `place` is its path in the request.
///
/// # Errors
/// [`ServiceError::TextTooLong`] if it is longer than the limit.
pub fn check_length(
    text: &str,
    limits: &Limits,
    place: impl FnOnce() -> String,
) -> Result<(), ServiceError> {
    check_bytes(text.len(), limits, place)
}

/// Checks the length in bytes of a text that is not built yet.
///
/// # Errors
/// [`ServiceError::TextTooLong`] if it is longer than the limit.
pub fn check_bytes(
    length: usize,
    limits: &Limits,
    place: impl FnOnce() -> String,
) -> Result<(), ServiceError> {
    let limit = limits.max_text_bytes;
    if length <= limit {
        return Ok(());
    }
    Err(ServiceError::TextTooLong {
        place: place(),
        length,
        limit,
    })
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Inputs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputsVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for InputsVisitor<T> {
            type Value = Inputs<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or a list")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let text: StrDeserializer<'_, E> = text.into_deserializer();
                T::deserialize(text).map(Inputs::one)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Inputs::many(items))
            }
        }

        deserializer.deserialize_any(InputsVisitor(PhantomData))
    }
}

impl JsonSchema for Inputs<String> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Limits are given by name here; the document replaces the names with this server's numbers.
        let text = json_schema!({"type": "string", "maxLength": "max_text_bytes"});
        json_schema!({"oneOf": [text, several(&text)]})
    }
}

/// The schema of a list of inputs, up to the limit per request.
pub(super) fn several(item: &Schema) -> Schema {
    json_schema!({"type": "array", "items": item, "minItems": 1, "maxItems": "max_inputs"})
}

/// The schema of a text that must have at least one token. Tokenizers drop white space and control characters, so a
/// text of these alone has no tokens. They also drop others, such as private-use characters, which no pattern matches
/// in the regular expressions of every language.
pub(super) fn visible_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": "max_text_bytes",
        "pattern": r"[^\s\u0000-\u001f\u007f-\u009f\u00ad]",
    })
}

/// A value that must be a JSON object. serde's derived code also accepts a list of the fields' values, which no client
/// sends on purpose.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// Reads a field that is a list of JSON objects, or null.
///
/// # Errors
/// If an element is not a valid object.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let list = Option::<Vec<Object<T>>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(|Object(item)| item).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_name_an_index_only_in_lists() {
        let texts = |json: &str| serde_json::from_str::<Inputs<String>>(json).unwrap();
        assert_eq!(texts("\"a\"").place("text", 0), "text");
        assert_eq!(texts("[\"a\", \"b\"]").place("text", 1), "text[1]");
    }

    #[test]
    fn limits_are_kept() {
        let limits = Limits {
            max_inputs: 2,
            max_text_bytes: 3,
            ..Limits::default()
        };
        let check = |texts: &[&str], code: Option<&str>| {
            let texts = Inputs::many(texts.iter().map(|text| (*text).to_owned()).collect());
            assert_eq!(
                texts.check("text", &limits).err().map(|error| error.code()),
                code,
                "{texts:?}"
            );
        };
        check(&["abc", ""], None);
        check(&[], Some("empty_input"));
        check(&["a", "b", "c"], Some("too_many_inputs"));
        check(&["a", "abcd"], Some("text_too_long"));
        check(&["éé"], Some("text_too_long"));
    }
}
