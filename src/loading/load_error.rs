//! The error of models that can't be loaded.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::attempts::Refusal;
use crate::convert::ConvertError;
use crate::engine::EngineError;
use crate::heads::qa_bounds::BoundError;
use crate::inference::InferenceError;
use crate::model_config::{ConfigError, MOST_LABELS};
use crate::model_folder::SettingsError;
use crate::task::{NotServed, Task};
use crate::text::TokenizerError;

/// Why a model can't be loaded. `Display` is a sentence for the operator.
#[derive(Debug, Error)]
pub enum LoadError {
    /// electra.toml can't be read, or is invalid.
    #[error("{0}.")]
    Settings(#[from] SettingsError),
    /// There are several graphs, and none has the standard name.
    #[error(
        "The folder has the graphs {} and none named model.onnx: name the one to serve with the key `graph` in electra.toml.",
        names(.0)
    )]
    SeveralGraphs(Vec<PathBuf>),
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
    /// The model's files contradict each other, or electra.toml.
    #[error("{0}.")]
    Mismatch(#[from] Mismatch),
    /// The checkpoint can't be exported.
    #[error("The checkpoint can't be exported: {0}.")]
    Export(#[from] ConvertError),
    /// The graph made from the checkpoint can't be stored.
    #[error("{} is not writable: {error}. The graph exported from a checkpoint is stored there.", folder.display())]
    Keeping {
        /// Where it was to be stored.
        folder: PathBuf,
        error: std::io::Error,
    },
    /// The load took too long.
    #[error("The load took longer than load_timeout_ms = {} ms. Raise it if the model is that large.", .0.as_millis())]
    TimedOut(Duration),
    /// An earlier load of the same version was given up and goes on.
    #[error(
        "An earlier load of this version was given up (it took too long, or the model was unloaded) and has not ended. No \
         other is begun until it ends, or the server is started again."
    )]
    Unended,
    /// Several earlier loads were given up and go on.
    #[error(
        "Several loads were given up (they took too long, or their models were unloaded) and have not ended. No other is \
         begun until one of them ends, or the server is started again."
    )]
    TooManyUnended,
    /// A part of the server or of a library panicked on the model's files.
    #[error("The load panicked: {message} ({place}).")]
    Panicked { message: String, place: String },
    /// The operating system can't start a thread for the load.
    #[error("No thread can be started for the load: {0}.")]
    Thread(std::io::Error),
    /// The graph loads but does not run.
    #[error("The model loads but does not run: {0}")]
    WarmUp(#[source] InferenceError),
}

/// Which settings or files contradict each other. `Display` is a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// The length in electra.toml is not one that the model supports.
    #[error(
        "electra.toml says max_tokens = {max_tokens}, and this model takes sequences of 4 to {most} tokens"
    )]
    MaxTokens { max_tokens: usize, most: usize },
    /// electra.toml names another task than the model's own files.
    #[error(
        "electra.toml says task = \"{in_settings}\", but by config.json or the graph, the model's task is {task}; remove the \
         line"
    )]
    Task { in_settings: Task, task: Task },
    /// electra.toml has defaults of fields that requests for this task do not have.
    #[error("electra.toml sets defaults that no request for {task} has: {}", fields.join(", "))]
    Defaults {
        task: Task,
        fields: Vec<&'static str>,
    },
    /// A default in electra.toml is beyond its bounds.
    #[error("A default of electra.toml can't be used: `{field}` can't be used: {error}", field = .0.field(), error = .0)]
    Default(#[from] BoundError),
    /// config.json has another number of labels than the graph has outputs.
    #[error("config.json names {labels} labels but the graph gives {width} scores")]
    Labels { labels: usize, width: usize },
    /// The graph's output does not have the width that the task needs.
    #[error("The task {task} needs {wanted} scores per token but the graph gives {width}")]
    Width {
        task: Task,
        wanted: usize,
        width: usize,
    },
    /// The graph gives more scores than any model has labels.
    #[error(
        "the graph gives {width} scores, more than the {MOST_LABELS} labels that a model can have"
    )]
    TooWide { width: usize },
    /// A classifier whose graph scores tokens.
    #[error("The task classify needs scores of a text but the graph gives scores of its tokens")]
    TokenRows,
    /// A model that scores tokens, whose graph scores whole texts.
    #[error("The task {0} needs scores of tokens but the graph gives scores of a whole text")]
    TextRows(Task),
}

impl From<Refusal> for LoadError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unended => Self::Unended,
            Refusal::TooManyUnended => Self::TooManyUnended,
            Refusal::Thread(error) => Self::Thread(error),
        }
    }
}

fn names(graphs: &[PathBuf]) -> String {
    let names = graphs.iter().map(|graph| format!("`{}`", graph.display()));
    names.collect::<Vec<_>>().join(", ")
}

impl LoadError {
    /// Whether the device is the cause, rather than the model.
    #[must_use]
    pub fn is_device(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Device { .. }))
    }
}
