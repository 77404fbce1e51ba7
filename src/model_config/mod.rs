//! config.json: what transformers' configuration says of a model. One reader for exporting a checkpoint and for serving a
//! model folder, with transformers' defaults.
//!
//! Keys that are absent or null have transformers' default, unknown keys are passed over, and each refusal names the key.

mod config_json;
mod entries;
mod error;
mod labels;
mod shape;

pub use config_json::ModelConfig;
pub use error::{CONFIG_FILE, ConfigError};
pub use labels::default_label;
pub use shape::ModelShape;

#[cfg(test)]
mod tests;
