//! Numbered versions of a model, and how requests name them: `name` or `name@2`.

use std::fmt;

/// The number of a version's folder. A model without such folders is version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of a model whose files are directly in its folder.
    pub const ONLY: Self = Self(1);

    /// Parses a number of at least 1, without sign or leading zeros, so that each version has exactly one name.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A model as a request names it, with or without a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// A name or an alias.
    pub name: &'a str,
    /// `None` for the version that serves.
    pub version: Option<Version>,
}

impl<'a> From<&'a str> for Address<'a> {
    /// The part after the last `@` is a version if it is a number. Otherwise it belongs to the name.
    fn from(text: &'a str) -> Self {
        let parts = text
            .rsplit_once('@')
            .and_then(|(name, version)| Some((name, Version::named(version)?)));
        match parts {
            Some((name, version)) => Self {
                name,
                version: Some(version),
            },
            None => Self {
                name: text,
                version: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_plain_numbers() {
        let number = |text: &str| Version::named(text).map(|version| version.0);
        assert_eq!(number("1"), Some(1));
        assert_eq!(number("20261123"), Some(20_261_123));
        for text in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            "1.0",
            "v1",
            "99999999999999999999999",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn addresses_name_a_model_and_perhaps_a_version() {
        let check = |text: &str, name: &str, version: Option<u64>| {
            let address = Address::from(text);
            assert_eq!(
                (address.name, address.version.map(|version| version.0)),
                (name, version)
            );
        };
        check("qa", "qa", None);
        check("qa@2", "qa", Some(2));
        check("a@b@3", "a@b", Some(3));
        check("qa@latest", "qa@latest", None);
        check("qa@", "qa@", None);
    }
}
