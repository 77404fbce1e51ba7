//! The error of models that can't be loaded.

use std::path::PathBuf;

use thiserror::Error;

use crate::convert::ExportFailure;
use crate::engine::EngineError;
use crate::model_config::ConfigError;
use crate::task::NotServed;
use crate::text::TokenizerError;

/// Why a model can't be loaded. `Display` is a sentence for the operator.
#[derive(Debug, Error)]
pub enum LoadError {
    /// electra.toml is invalid or contradicts the model.
    #[error("{0}.")]
    Config(String),
    /// config.json is missing or invalid.
    #[error("{0}.")]
    ModelConfig(#[from] ConfigError),
    /// The model has a head that this server does not support.
    #[error(
        "By config.json's architectures, this is a model for {0}, which can't be served. If its graph does one of the tasks \
         discriminate, classify, tag and qa, set it in electra.toml in the model's folder, such as `task = \"tag\"`."
    )]
    HeadNotServed(NotServed),
    /// Neither config.json, the graph nor electra.toml tells the task.
    #[error(
        "The model's task is unknown: neither config.json's architectures nor the graph tells it. \
         Write `task = \"discriminate\"` (or classify, tag, qa) into electra.toml in its folder."
    )]
    UnknownTask,
    /// The tokenizer's files are missing or invalid.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The graph is invalid, or the device does not work.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model's files contradict each other.
    #[error("{0}.")]
    Mismatch(String),
    /// The checkpoint can't be exported.
    #[error("The checkpoint can't be exported: {0}.")]
    Export(#[from] ExportFailure),
    /// The graph made from the checkpoint can't be stored.
    #[error("{} is not writable: {error}. The graph exported from a checkpoint is stored there.", folder.display())]
    Keeping {
        /// Where it was to be stored.
        folder: PathBuf,
        error: std::io::Error,
    },
    /// The graph loads but does not run.
    #[error("The model loads but does not run: {0}")]
    Warming(String),
}

impl LoadError {
    /// Whether the device is the cause, rather than the model.
    #[must_use]
    pub fn is_device(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Device { .. }))
    }
}
