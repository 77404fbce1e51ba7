//! The configuration: every setting from a flag, an environment variable, a TOML file or its default, in this order.

mod config;
mod mistake;
mod parse;
mod resolve;
mod settings;

pub use config::Config;
pub use mistake::{ConfigError, Mistake};
pub use resolve::{Arguments, load, resolve};
pub use settings::{SETTINGS, Setting};
