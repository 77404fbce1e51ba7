//! The types that request fields share, and the limits they are checked against.

use std::fmt;
use std::marker::PhantomData;

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

/// How inputs came, which decides how errors name their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// One by itself: `text`.
    Alone,
    /// In a list: `text[3]`.
    Listed,
    /// Each part of them in a list of its own: `text[3]` and `text_pair[3]`.
    ByPart,
}

impl<T> Inputs<T> {
    /// One input, not in a list.
    pub fn one(item: T) -> Self {
        Self {
            items: vec![item],
            sent: Sent::Alone,
        }
    }

    /// A list.
    #[must_use]
    pub fn many(items: Vec<T>) -> Self {
        Self {
            items,
            sent: Sent::Listed,
        }
    }

    /// Inputs of several parts, each of which came in a list of its own.
    #[must_use]
    pub fn by_part(self) -> Self {
        Self {
            sent: Sent::ByPart,
            ..self
        }
    }

    /// The inputs.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// Whether they came as a list, be it of one.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.sent != Sent::Alone
    }

    /// The inputs.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.items
    }

    /// Where an input stands in the request: `text`, or `text[3]`.
    #[must_use]
    pub fn place(&self, field: &str, index: usize) -> String {
        match self.sent {
            Sent::Alone => field.to_owned(),
            Sent::Listed | Sent::ByPart => format!("{field}[{index}]"),
        }
    }

    /// Where a part of an input stands: in the list of such parts, which is the field `name`, or within the input by
    /// `in_item`, such as `[1]`.
    #[must_use]
    pub fn place_of_part(&self, field: &str, index: usize, name: &str, in_item: &str) -> String {
        match self.sent {
            Sent::Alone | Sent::Listed => self.place(field, index) + in_item,
            Sent::ByPart => self.place(name, index),
        }
    }

    /// Where an input of parts of these names stands as a whole: `text[3]`, or `text[3] with text_pair[3]`.
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

    /// Checks that there is at least one input and not too many.
    ///
    /// # Errors
    /// [`ServiceError::EmptyInput`], [`ServiceError::TooManyInputs`].
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
    /// Checks the number of texts and their lengths; returns how many bytes they have together.
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

/// Checks that a text is no longer than the limit.
///
/// # Errors
/// [`ServiceError::TextTooLong`].
pub fn check_length(
    text: &str,
    limits: &Limits,
    place: impl FnOnce() -> String,
) -> Result<(), ServiceError> {
    check_bytes(text.len(), limits, place)
}

/// Refuses a text that would have so many bytes, if that is too long.
///
/// # Errors
/// [`ServiceError::TextTooLong`].
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

/// A value that comes as a JSON object. What serde derives for structs takes a list of the fields' values too, which is
/// nothing anybody means to send.
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

/// A field that is a list of JSON objects, or null.
///
/// # Errors
/// Those of its elements.
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
