//! How the protocol names a model: a name and a version.

use std::borrow::Cow;

/// Joins a name and a version, which may be empty, into the address by which the service finds models.
#[must_use]
pub fn address<'a>(name: &'a str, version: &str) -> Cow<'a, str> {
    if version.is_empty() {
        name.into()
    } else {
        format!("{name}@{version}").into()
    }
}
