//! Typed access to config.json's entries. A key that is null counts as absent.

use serde_json::{Map, Value};

use super::error::ConfigError;
use crate::quote::quoted;

/// Far above the sizes of any real model, and small enough that the product of two fits into 64 bits.
const MOST: usize = 1 << 24;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entries(Map<String, Value>);

impl Entries {
    pub(super) fn new(entries: Map<String, Value>) -> Self {
        Self(entries)
    }

    pub(super) fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A whole number from `least` to [`MOST`].
    pub(super) fn count(&self, key: &str, least: usize) -> Result<Option<usize>, ConfigError> {
        let wanted = || format!("must be a whole number from {least} to {MOST}");
        self.read(key, wanted, |value| {
            let count = usize::try_from(value.as_u64()?).ok()?;
            (least..=MOST).contains(&count).then_some(count)
        })
    }

    /// A number that is not negative.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, ConfigError> {
        let wanted = || "must be a number that is not negative".to_owned();
        self.read(key, wanted, |value| {
            value.as_f64().filter(|number| *number >= 0.0)
        })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        self.read(key, || "must be a string".to_owned(), Value::as_str)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.read(key, || "must be true or false".to_owned(), Value::as_bool)
    }

    /// A list of strings; empty if the key is absent.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let wanted = || "must be a list of strings".to_owned();
        let texts = self.read(key, wanted, |value| {
            let texts = value.as_array()?.iter();
            texts
                .map(|text| text.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        })?;
        Ok(texts.unwrap_or_default())
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<&Map<String, Value>>, ConfigError> {
        self.read(key, || "must be an object".to_owned(), Value::as_object)
    }

    fn read<'v, T>(
        &'v self,
        key: &str,
        wanted: impl FnOnce() -> String,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(refused(key, value, &wanted())),
        }
    }
}

/// An error about a value.
pub(super) fn refused(key: &str, value: &Value, wanted: &str) -> ConfigError {
    let shown = value.to_string();
    ConfigError::value(key, format!("is {}, but {wanted}", quoted(&shown)))
}
