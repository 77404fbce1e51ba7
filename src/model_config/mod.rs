//! Reads config.json, transformers' configuration of a model. Exporting a checkpoint and serving a model folder use the
//! same reader.
//!
//! Keys that are absent or null have transformers' defaults, unknown keys are ignored, and each error names the key.

mod config_json;
mod entries;
mod error;
mod labels;
mod shape;

pub use config_json::ModelConfig;
pub use error::{CONFIG_FILE, ConfigError};
pub use labels::{MOST_LABELS, default_label};
pub use shape::ModelShape;

#[cfg(test)]
mod tests;
