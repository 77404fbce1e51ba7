//! A model under load: its task, its tokenizer, and the amount of work per sequence.

use std::path::PathBuf;

use prost::Message as _;

use super::BenchError;
use crate::engine::fuse_for_cpu;
use crate::export::graph::products::Products;
use crate::export::graph::{LAYOUT_KEY, TASK_KEY};
use crate::files;
use crate::heads::qa_bounds::WINDOW_TOKENS;
use crate::model_config::ModelConfig;
use crate::model_folder::{Content, FoundModel};
use crate::onnx;
use crate::suggest::suggestion;
use crate::task::Task;
use crate::text::Tokenizer;

/// A model of the repository. Its graph is not loaded.
#[derive(Debug)]
pub struct Subject {
    pub name: String,
    pub task: Task,
    pub tokenizer: Tokenizer,
    /// The path of its graph.
    pub graph: PathBuf,
    /// The matrix products of its graph.
    pub products: Products,
    /// The longest sequence in tokens that is not split into windows, special tokens included.
    pub longest_sequence: usize,
}

impl Subject {
    /// Reads the models with these names, or the repository's only model if there are no names.
    ///
    /// # Errors
    /// If a model is unknown or can't be read, or if there are no names and several models.
    pub fn read_all(found: &[FoundModel], names: &[String]) -> Result<Vec<Self>, BenchError> {
        let known = || found.iter().map(|model| model.name.as_str());
        if names.is_empty() {
            return match found {
                [only] => Ok(vec![Self::read(only)?]),
                _ => Err(BenchError::Usage(format!(
                    "Name one or more of the models: {}.",
                    known().collect::<Vec<_>>().join(", ")
                ))),
            };
        }
        let find = |name: &String| {
            let model = found.iter().find(|model| model.name == *name);
            let model = model.ok_or_else(|| {
                let hint = suggestion(name, known());
                BenchError::Usage(format!("There is no model `{name}`. {hint}"))
            })?;
            Self::read(model)
        };
        names.iter().map(find).collect()
    }

    /// Reads the highest version.
    fn read(model: &FoundModel) -> Result<Self, BenchError> {
        let failed = |reason: String| BenchError::Model {
            name: model.name.clone(),
            reason,
        };
        let folder = model.versions.last();
        let folder = folder.ok_or_else(|| failed("it has no version".to_owned()))?;
        let Content::Graph(graph) = &folder.content else {
            let reason = "it is a checkpoint without a graph; make one with `electra export`";
            return Err(failed(reason.to_owned()));
        };
        let config =
            ModelConfig::from_folder(&folder.path).map_err(|error| failed(error.to_string()))?;
        let bytes =
            files::read(graph, files::most::GRAPH).map_err(|error| failed(error.to_string()))?;
        let model = onnx::Model::decode(bytes.as_slice())
            .map_err(|error| failed(format!("its graph is not an ONNX graph: {error}")))?;
        let says = |key: &str| {
            let mut entries = model.metadata_props.iter();
            entries
                .find(|entry| entry.key == key)
                .map(|entry| entry.value.as_str())
        };
        if says(LAYOUT_KEY).is_none() {
            let reason = "its graph was not written by `electra export`, so its matrix products, which are measured too, are \
                          unknown; export its checkpoint";
            return Err(failed(reason.to_owned()));
        }
        let task = config
            .task()
            .or_else(|| says(TASK_KEY).and_then(Task::named));
        let task =
            task.ok_or_else(|| failed("neither its files nor its graph tell its task".to_owned()))?;
        let shape = config.shape().map_err(|error| failed(error.to_string()))?;
        let tokenizer = Tokenizer::from_folder(&folder.path)
            .and_then(|tokenizer| tokenizer.for_rows(shape.vocab_size))
            .map_err(|error| failed(error.to_string()))?;
        let max_tokens = tokenizer.max_tokens(config.max_tokens);
        Ok(Self {
            name: folder.name.clone(),
            task,
            tokenizer,
            graph: graph.clone(),
            products: fuse_for_cpu(&model, &shape).map_or_else(
                || Products::of(&model, &shape),
                |fused| Products::of_fused(&fused, &shape),
            ),
            longest_sequence: match task {
                Task::Qa => max_tokens.min(WINDOW_TOKENS),
                _ => max_tokens,
            },
        })
    }
}
