//! The models that requests may ask: each with the state of its versions.

mod control;
mod entry;
mod model;
mod registry;
mod status;

pub use control::{Command, Commands, Control, ControlError};
pub use model::{LoadedModel, ModelInfo, ModelState};
pub use registry::Registry;
pub use status::{DefaultModel, ModelStatus, VersionState};
