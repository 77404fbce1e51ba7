//! The configuration: every setting from a flag, an environment variable, a TOML file or its default, in this order.

mod mistake;
mod parse;
mod resolve;
mod resolved;
mod settings;

pub use mistake::{ConfigError, Mistake};
pub use resolve::{Arguments, load, resolve};
pub use resolved::Config;
pub use settings::{SETTINGS, Setting};
