//! Why a model can't be loaded.

use std::path::PathBuf;

use thiserror::Error;

use crate::convert::ExportFailure;
use crate::engine::EngineError;
use crate::model_config::ConfigError;
use crate::task::NotServed;
use crate::text::TokenizerError;

/// Why a model can't be loaded: a sentence for the operator.
#[derive(Debug, Error)]
pub enum LoadError {
    /// electra.toml is wrong.
    #[error("{0}.")]
    Config(String),
    /// config.json is missing or wrong.
    #[error("{0}.")]
    ModelConfig(#[from] ConfigError),
    /// The model has a head that no task is for.
    #[error(
        "This is a model for {0}, by config.json's architectures, and can't be served. If its graph does one of the tasks \
         discriminate, classify, tag and qa, name it in electra.toml in the model's folder, as `task = \"tag\"`."
    )]
    HeadNotServed(NotServed),
    /// Nothing says what the model computes.
    #[error(
        "Nothing says what this model does: config.json's architectures names no task, nor does the graph. \
         Write `task = \"discriminate\"` (or classify, tag, qa) into electra.toml in its folder."
    )]
    UnknownTask,
    /// The tokenizer is wrong.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The graph is wrong, or the device does not work.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The files contradict each other.
    #[error("{0}.")]
    Mismatch(String),
    /// The checkpoint can't be made a graph of.
    #[error("The checkpoint can't be exported: {0}.")]
    Export(#[from] ExportFailure),
    /// There is no room for the graph that is made of a checkpoint.
    #[error("{} can't be written to: {error}. The graph of a checkpoint is kept there.", folder.display())]
    Keeping {
        /// Where it would be kept.
        folder: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The graph loads but does not run.
    #[error("The model loads but does not run: {0}")]
    Warming(String),
}

impl LoadError {
    /// Whether the device is at fault, and not the model.
    #[must_use]
    pub fn is_device(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Device { .. }))
    }
}
