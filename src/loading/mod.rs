//! Loads models and keeps the registry in step with the model repository's folder.

mod attempts;
mod load_error;
mod loader;
mod manager;
mod prepare;
mod shown;
mod task;
mod thread;
mod warm_up;
mod watch;

pub use load_error::{LoadError, Mismatch};
pub use loader::Loader;
pub use manager::{DeviceFailure, Manager};
pub use warm_up::WarmUp;
