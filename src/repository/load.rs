//! Loads a model folder: graph, tokenizer and description, checked against each other and warmed.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use super::model_config::ModelConfig;
use super::warm_up::WarmUp;
use super::{LoadedModel, ModelFolder, ModelInfo};
use crate::batch::Scheduler;
use crate::engine::{Device, EngineError, EngineOptions, Graph, Runtime};
use crate::export::graph::TASK_KEY;
use crate::task::Task;
use crate::text::{SharedTokenizers, Tokenizer, TokenizerError};

/// What loading takes.
#[derive(Clone)]
pub struct Loader {
    /// ONNX Runtime.
    pub runtime: Runtime,
    /// What computes.
    pub device: Device,
    /// Threads that run models: as many sessions a model has.
    pub workers: NonZeroUsize,
    /// The tokenizers of the models that are loaded.
    pub tokenizers: SharedTokenizers,
    /// The token budget, where it is not to be measured.
    pub batch_tokens: Option<NonZeroUsize>,
    /// Where loaded models queue.
    pub scheduler: Arc<Scheduler>,
}

/// Why a model can't be loaded: a sentence for the operator.
#[derive(Debug, Error)]
pub enum LoadError {
    /// config.json or electra.toml is missing or wrong.
    #[error("{0}.")]
    Config(String),
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

impl Loader {
    /// Loads, checks and warms one model; blocks.
    ///
    /// # Errors
    /// What is wrong with the folder, in a sentence.
    pub fn load(&self, folder: &ModelFolder) -> Result<LoadedModel, LoadError> {
        let config = ModelConfig::read(&folder.path).map_err(LoadError::Config)?;
        let tokenizer = self.tokenizers.of_folder(&folder.path)?;
        check_vocabulary(&tokenizer, config.vocabulary_size)?;
        let max_tokens = tokenizer.max_tokens(config.max_tokens);
        let options = EngineOptions {
            device: self.device,
            sessions: self.workers,
        };
        let mut graph = Graph::load(&self.runtime, &folder.graph, &options)?;
        let task = config
            .task(graph.metadata(TASK_KEY))
            .ok_or(LoadError::UnknownTask)?;
        let labels = labels(task, config.labels, graph.output_width())?;
        let info = ModelInfo {
            name: folder.name.clone(),
            task,
            precision: graph.precision(),
            device: graph.device(),
            layout: graph.layout(),
            max_tokens,
            labels,
            problem_type: config.problem_type,
            inputs: graph.inputs().to_vec(),
            outputs: graph.outputs().to_vec(),
            size_bytes: size(&folder.path),
        };
        let warm_up = WarmUp {
            graph: &graph,
            special_tokens: tokenizer.special_tokens(),
            max_tokens,
        };
        let sizing = warm_up.run(self.workers, self.batch_tokens)?;
        tracing::info!(
            model = info.name,
            batch_tokens = sizing.batch_tokens,
            all_cores_from = sizing.all_cores_from,
            "batches are sized"
        );
        if sizing.all_cores_from.is_none() {
            graph.keep_to_one_core();
        }
        let queue = self
            .scheduler
            .add_model(&info.name, Arc::new(graph), sizing);
        Ok(LoadedModel {
            info,
            tokenizer,
            queue,
        })
    }
}

/// Every token needs a row of the embedding matrix.
fn check_vocabulary(tokenizer: &Tokenizer, rows: Option<usize>) -> Result<(), LoadError> {
    match rows {
        Some(rows) if tokenizer.vocabulary_size() > rows => Err(LoadError::Mismatch(format!(
            "The tokenizer has {} tokens but the model, by config.json's vocab_size, only {rows}: they do not belong \
             together",
            tokenizer.vocabulary_size()
        ))),
        _ => Ok(()),
    }
}

/// The labels a task's answers name, checked against the width of the graph's output.
fn labels(task: Task, named: Option<Vec<String>>, width: usize) -> Result<Vec<String>, LoadError> {
    let wanted = match task {
        Task::Discriminate => 1,
        Task::Qa => 2,
        Task::Classify | Task::Tag => {
            // transformers' names where config.json has none.
            let labels =
                named.unwrap_or_else(|| (0..width).map(|label| format!("LABEL_{label}")).collect());
            if labels.len() == width {
                return Ok(labels);
            }
            return Err(LoadError::Mismatch(format!(
                "config.json names {} labels but the graph gives {width} scores",
                labels.len()
            )));
        }
    };
    if width == wanted {
        return Ok(Vec::new());
    }
    Err(LoadError::Mismatch(format!(
        "The task {task} needs {wanted} scores a token but the graph gives {width}"
    )))
}

/// Bytes of the files in a folder and in its folders; what can't be read counts as nothing.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let size_of = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()),
        _ => std::fs::metadata(entry.path()).map_or(0, |metadata| metadata.len()),
    };
    entries.flatten().map(size_of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_must_fit_the_graph() {
        let names = |count: usize| Some((0..count).map(|index| index.to_string()).collect());
        assert_eq!(labels(Task::Classify, names(3), 3).unwrap().len(), 3);
        assert_eq!(labels(Task::Tag, None, 2).unwrap(), ["LABEL_0", "LABEL_1"]);
        assert!(labels(Task::Discriminate, names(2), 1).unwrap().is_empty());
        for (task, named, width) in [
            (Task::Tag, names(3), 2),
            (Task::Qa, None, 3),
            (Task::Discriminate, None, 2),
        ] {
            assert!(labels(task, named, width).is_err(), "{task}");
        }
    }

    #[test]
    fn size_counts_files_of_inner_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("onnx")).unwrap();
        std::fs::write(folder.path().join("onnx/model.onnx"), "12345").unwrap();
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        assert_eq!(size(folder.path()), 7);
    }
}
