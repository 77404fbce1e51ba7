//! What the configuration says about access.

use std::path::PathBuf;

use super::secret::Digest;

/// What the configuration says about access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessOptions {
    /// The hash of the key in the environment, which may do everything.
    pub environment_key: Option<Digest>,
    /// The file of keys.
    pub key_file: Option<PathBuf>,
    /// Whether models may be loaded and unloaded on request.
    pub model_control: bool,
    /// Whether administration has a listener of its own.
    pub is_administration_apart: bool,
}

impl AccessOptions {
    /// Whether requests need keys.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.environment_key.is_some() || self.key_file.is_some()
    }
}
