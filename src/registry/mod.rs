//! The models that requests can use, each with the state of its versions.

mod control;
mod entry;
mod list;
mod model;
mod status;

pub use control::{Commands, Control, ControlError, ModelCommand};
pub use list::Registry;
pub use model::{LoadedModel, ModelInfo, ModelState};
pub use status::{DefaultModel, Lookup, ModelStatus, VersionState};
