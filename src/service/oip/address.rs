//! How the protocol names a model: by a name and a version.

use std::borrow::Cow;

/// The one address that the service knows a model by, of a name and a version which may be empty.
#[must_use]
pub fn address<'a>(name: &'a str, version: &str) -> Cow<'a, str> {
    if version.is_empty() {
        name.into()
    } else {
        format!("{name}@{version}").into()
    }
}
