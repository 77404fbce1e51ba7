//! What a key may be used for.

use std::fmt::{self, Display};
use std::str::FromStr;

use thiserror::Error;

/// One thing that a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Asking models, and reading what they are.
    Infer,
    /// Reading the metrics.
    Metrics,
    /// Loading and unloading models, and naming priorities where only administrators may.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Infer, Self::Metrics, Self::Admin];

    /// As in the file of keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }
}

/// A set of scopes that is not empty. Written as names with commas between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes([bool; Scope::ALL.len()]);

/// A list of scopes with a name that is none.
/// It is not repeated: it may be a key in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a scope is infer, metrics or admin, or several of these with commas between them")]
pub struct UnknownScope;

impl Scopes {
    pub const ALL: Self = Self([true; Scope::ALL.len()]);

    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0[scope as usize]
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let mut scopes = Self([false; Scope::ALL.len()]);
        for name in text.split(',') {
            let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name);
            let scope = scope.ok_or(UnknownScope)?;
            scopes.0[scope as usize] = true;
        }
        Ok(scopes)
    }
}

impl Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Scope::ALL
            .into_iter()
            .filter(|scope| self.has(*scope))
            .map(Scope::name)
            .collect();
        formatter.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_written_as_names() {
        for (text, written) in [
            ("infer", "infer"),
            ("admin,infer", "infer,admin"),
            ("infer,metrics,admin", "infer,metrics,admin"),
            ("metrics,metrics", "metrics"),
        ] {
            assert_eq!(text.parse::<Scopes>().unwrap().to_string(), written);
        }
        let one: Scopes = "metrics".parse().unwrap();
        assert!(one.has(Scope::Metrics) && !one.has(Scope::Infer) && !one.has(Scope::Admin));
        for wrong in ["", "Infer", "infer,", "all"] {
            assert_eq!(wrong.parse::<Scopes>(), Err(UnknownScope), "{wrong}");
        }
    }
}
