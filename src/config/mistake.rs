//! The mistakes in a configuration, reported all at once.

use std::fmt;

/// One mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The flag, the environment variable, or the file and its key.
    pub source: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsMistakes {
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for SettingsMistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.len() {
            1 => write!(formatter, "The configuration has a mistake:")?,
            count => write!(formatter, "The configuration has {count} mistakes:")?,
        }
        for Mistake { source, reason } in &self.mistakes {
            write!(formatter, "\n  {source}: {reason}")?;
        }
        Ok(())
    }
}
