//! A model as a load sees it: what it does, how it reads texts, how much work a sequence is.

use std::path::PathBuf;

use prost::Message as _;

use super::BenchError;
use crate::export::config::ModelConfig as Shape;
use crate::export::graph::TASK_KEY;
use crate::export::graph::products::Products;
use crate::onnx;
use crate::repository::{ModelConfig, ModelFolder, Repository};
use crate::service::QA_WINDOW_TOKENS;
use crate::suggest::suggestion;
use crate::task::Task;
use crate::text::Tokenizer;

/// A model of the repository; its graph is not loaded.
#[derive(Debug)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// What it does.
    pub task: Task,
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    /// Its graph's file.
    pub graph: PathBuf,
    /// The matrix products of its graph.
    pub products: Products,
    /// Longest sequence that is not cut into windows, in tokens, special ones included.
    pub longest_sequence: usize,
}

impl Subject {
    /// Reads the models of these names; the only one there is where none is named.
    ///
    /// # Errors
    /// Where a model is unknown or can't be read, or it is not clear which one is meant.
    pub fn read_all(repository: &Repository, names: &[String]) -> Result<Vec<Self>, BenchError> {
        if names.is_empty() {
            let mut folders = repository.folders();
            return match (folders.next(), folders.next()) {
                (Some(only), None) => Ok(vec![Self::read(only)?]),
                _ => Err(BenchError::Usage(format!(
                    "Name one or more of the models: {}.",
                    repository.names().collect::<Vec<_>>().join(", ")
                ))),
            };
        }
        let find = |name: &String| {
            let folder = repository.folders().find(|folder| folder.name == *name);
            let folder = folder.ok_or_else(|| {
                let hint = suggestion(name, repository.names().collect::<Vec<_>>().into_iter());
                BenchError::Usage(format!("There is no model `{name}`. {hint}"))
            })?;
            Self::read(folder)
        };
        names.iter().map(find).collect()
    }

    fn read(folder: &ModelFolder) -> Result<Self, BenchError> {
        let failed = |reason: String| BenchError::Model {
            name: folder.name.clone(),
            reason,
        };
        let config = ModelConfig::read(&folder.path).map_err(failed)?;
        let shape = Shape::from_folder(&folder.path).map_err(|error| failed(error.to_string()))?;
        let tokenizer =
            Tokenizer::from_folder(&folder.path).map_err(|error| failed(error.to_string()))?;
        let bytes = std::fs::read(&folder.graph).map_err(|error| failed(error.to_string()))?;
        let model = onnx::Model::decode(bytes.as_slice())
            .map_err(|error| failed(format!("its graph is no ONNX graph: {error}")))?;
        let says = |key: &str| {
            let mut entries = model.metadata_props.iter();
            entries
                .find(|entry| entry.key == key)
                .map(|entry| entry.value.as_str())
        };
        let task = config.task(says(TASK_KEY));
        let task = task.ok_or_else(|| failed("nothing says what it does".to_owned()))?;
        let max_tokens = tokenizer.max_tokens(config.max_tokens);
        Ok(Self {
            name: folder.name.clone(),
            task,
            tokenizer,
            graph: folder.graph.clone(),
            products: Products::of(&model, &shape),
            longest_sequence: match task {
                Task::Qa => max_tokens.min(QA_WINDOW_TOKENS),
                _ => max_tokens,
            },
        })
    }
}
