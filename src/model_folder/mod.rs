//! A model on disk: its folder and versions, electra.toml, and the record of its origin.

mod folder;
mod provenance;
mod settings;
mod settings_error;
mod version;

pub use folder::{Content, Fingerprint, FoundModel, ModelFolder, ScanError, scan, usual_graph};
pub use provenance::{CheckpointOrigin, Provenance, SOURCE_FILE};
pub use settings::{LimitSettings, ModelSettings, RequestDefaults, SETTINGS_FILE, VersionPolicy};
pub use settings_error::{SettingsError, SettingsMistake};
pub use version::{Address, Version};
