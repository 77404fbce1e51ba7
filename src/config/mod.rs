//! The configuration. Each setting comes from the first of these that has it: flag, environment variable, TOML file,
//! default.

mod memory;
mod mistake;
mod parse;
mod resolve;
mod resolved;
mod settings;

pub use mistake::{Mistake, SettingsMistakes};
pub use resolve::{SettingArguments, load, resolve};
pub use resolved::Config;
pub use settings::{SETTINGS, Setting};
