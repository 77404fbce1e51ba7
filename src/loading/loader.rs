//! Loads a model folder: checks graph, tokenizer and description against each other, and warms the model up.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use super::load_error::{LoadError, Mismatch};
use super::prepare::prepare;
use super::task;
use super::warm_up::WarmUp;
use crate::batch::{BatchSizing, QueueOptions, Scheduler};
use crate::convert::ExportOptions;
use crate::engine::{Device, EngineOptions, Graph, PaddedInput, Runtime};
use crate::export::{GRAPH_FILE, PrecisionChoice};
use crate::heads::scheme::Scheme;
use crate::limits::Limits;
use crate::model_config::{MOST_LABELS, ModelConfig, default_label};
use crate::model_folder::{Content, ModelFolder, ModelSettings, Provenance};
use crate::registry::{LoadedModel, ModelInfo};
use crate::task::Task;
use crate::text::SharedTokenizers;

/// Loads models, with the options that all of them share.
#[derive(Clone)]
pub struct Loader {
    pub runtime: Runtime,
    pub device: Device,
    /// Threads that run models. Each model gets as many sessions.
    pub workers: NonZeroUsize,
    /// Tokenizers of loaded models, shared between equal ones.
    pub tokenizers: SharedTokenizers,
    /// The token budget, or `None` to measure it.
    pub batch_tokens: Option<NonZeroUsize>,
    /// The precision of exports, unless a model's electra.toml sets it.
    pub precision: PrecisionChoice,
    /// The limits of requests, unless a model's electra.toml sets them.
    pub limits: Limits,
    /// The scheduler in which loaded models get a queue.
    pub scheduler: Arc<Scheduler>,
}

/// Loads one model.
pub trait Load: Send + Sync {
    /// Loads, checks and warms up one model. Blocks. `predecessor` describes the loaded model that this one will
    /// replace, if any.
    ///
    /// # Errors
    /// If the folder's files are invalid, contradict each other or can't be exported, or if the graph does not run.
    fn load(
        &self,
        folder: &ModelFolder,
        predecessor: Option<&Predecessor>,
    ) -> Result<LoadedModel, LoadError>;

    /// The device that the configuration names.
    fn device(&self) -> Device;
}

/// What is known of a loaded model, without a reference to it: a load that hangs must not keep its memory.
#[derive(Clone, Debug)]
pub struct Predecessor {
    info: ModelInfo,
    sizing: BatchSizing,
}

impl Predecessor {
    #[must_use]
    pub fn of(model: &LoadedModel) -> Self {
        Self {
            info: model.info.clone(),
            sizing: model.sizing,
        }
    }
}

impl Load for Loader {
    fn device(&self) -> Device {
        self.device
    }

    fn load(
        &self,
        folder: &ModelFolder,
        predecessor: Option<&Predecessor>,
    ) -> Result<LoadedModel, LoadError> {
        let settings = folder.settings()?;
        let prepared;
        let (files, graph) = match &folder.content {
            Content::Graph(graph) => (&folder.path, graph.clone()),
            Content::Unclear(graphs) => return Err(LoadError::SeveralGraphs(graphs.clone())),
            Content::Checkpoint => {
                prepared = prepare(folder, self.export(&settings))?;
                (&prepared.path, prepared.path.join(GRAPH_FILE))
            }
        };
        let config = ModelConfig::from_folder(files)?;
        let tokenizer = self.tokenizers.of_folder(files, config.vocabulary_size)?;
        let max_tokens = max_tokens(tokenizer.max_tokens(config.max_tokens), &settings)?;
        let options = EngineOptions {
            device: self.device,
            sessions: self.workers,
        };
        let mut graph = Graph::load(&self.runtime, &graph, &options)?;
        let task = task::of(&config, graph.task(), graph.output_width(), settings.task)?;
        task::check_rows(task, graph.output_rows())?;
        check_settings(&settings, task, max_tokens)?;
        let named = settings.labels.or(config.labels);
        let labels = labels(task, named, graph.output_width())?;
        let info = ModelInfo {
            name: folder.name.clone(),
            version: folder.version,
            task,
            precision: graph.precision(),
            device: graph.device(),
            layout: graph.layout(),
            max_tokens,
            token_types: token_types(config.token_types, &graph),
            scheme: Scheme::of(labels.iter().map(String::as_str)),
            labels,
            problem_type: config.problem_type,
            limits: settings.limits.over(self.limits),
            defaults: settings.defaults,
            inputs: graph.inputs().to_vec(),
            outputs: graph.outputs().to_vec(),
            size_bytes: size(files),
            source: Provenance::read(&folder.path).map(|source| source.checkpoint.to_string()),
        };
        let warm_up = WarmUp {
            graph: &graph,
            special_tokens: tokenizer.special_tokens(),
            max_tokens,
        };
        let batch_tokens = settings.limits.batch_tokens.or(self.batch_tokens);
        // While other models serve, measurements would only see the cores that they leave free. So a similar
        // predecessor's sizes are kept.
        let alike = predecessor.filter(|model| is_alike(&model.info, &info));
        let sizing = warm_up.run(self.workers, batch_tokens, alike.map(|model| model.sizing))?;
        tracing::info!(
            model = info.name,
            batch_tokens = sizing.batch_tokens,
            all_cores_from = sizing.all_cores_from,
            "batch sizes chosen"
        );
        if sizing.all_cores_from.is_none() {
            graph.keep_to_one_core();
        }
        let options = QueueOptions {
            sizing,
            capacity: settings.limits.queue_capacity,
        };
        let queue = self
            .scheduler
            .add_model(&info.name, Arc::new(graph), options);
        Ok(LoadedModel {
            info,
            tokenizer,
            sizing,
            queue,
        })
    }
}

impl Loader {
    /// The options for exporting a checkpoint.
    fn export(&self, settings: &ModelSettings) -> ExportOptions {
        ExportOptions {
            precision: settings.precision.unwrap_or(self.precision),
            device: self.device,
            task: settings.task,
            onnxruntime_library: Some(self.runtime.library().to_owned()),
            ..ExportOptions::default()
        }
    }
}

/// Whether two models need about the same time per batch.
fn is_alike(one: &ModelInfo, other: &ModelInfo) -> bool {
    let kind = |info: &ModelInfo| (info.precision, info.layout, info.device, info.max_tokens);
    // The size of the weights decides: graphs are alike if the smaller has at least nine tenths of the larger's bytes.
    let least = one.size_bytes.min(other.size_bytes);
    let most = one.size_bytes.max(other.size_bytes);
    kind(one) == kind(other) && least >= most / 10 * 9
}

/// The maximum length of a sequence. `most` is what the model and its tokenizer support.
fn max_tokens(most: usize, settings: &ModelSettings) -> Result<usize, Mismatch> {
    match settings.limits.max_tokens.map(NonZeroUsize::get) {
        None => Ok(most),
        Some(max_tokens) if (4..=most).contains(&max_tokens) => Ok(max_tokens),
        Some(max_tokens) => Err(Mismatch::MaxTokens { max_tokens, most }),
    }
}

/// Refuses settings in electra.toml that do not apply to a model of this task.
fn check_settings(settings: &ModelSettings, task: Task, max_tokens: usize) -> Result<(), Mismatch> {
    if let Some(in_settings) = settings.task.filter(|other| *other != task) {
        return Err(Mismatch::Task { in_settings, task });
    }
    let fields = settings.defaults.foreign_to(task);
    if !fields.is_empty() {
        return Err(Mismatch::Defaults { task, fields });
    }
    match task {
        Task::Qa => Ok(settings.defaults.check_qa(max_tokens)?),
        Task::Discriminate | Task::Classify | Task::Tag => Ok(()),
    }
}

/// The labels used in answers, checked against the width of the graph's output.
fn labels(task: Task, named: Option<Vec<String>>, width: usize) -> Result<Vec<String>, Mismatch> {
    let wanted = match task {
        Task::Discriminate => 1,
        Task::Qa => 2,
        Task::Classify | Task::Tag if width > MOST_LABELS => {
            return Err(Mismatch::TooWide { width });
        }
        Task::Classify | Task::Tag => {
            // If config.json has no names, these are transformers' default names.
            let labels = named.unwrap_or_else(|| (0..width).map(default_label).collect());
            if labels.len() == width {
                return Ok(labels);
            }
            let labels = labels.len();
            return Err(Mismatch::Labels { labels, width });
        }
    };
    if width == wanted {
        return Ok(Vec::new());
    }
    Err(Mismatch::Width {
        task,
        wanted,
        width,
    })
}

/// Bytes of all files in a folder, recursively. Unreadable files count as 0.
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

/// How many token types a model supports. A graph without that input accepts both types that texts have.
fn token_types(declared: usize, graph: &Graph) -> usize {
    let reads_types = graph
        .inputs()
        .iter()
        .any(|input| input.name == PaddedInput::TokenTypeIds.name());
    if reads_types {
        declared
    } else {
        declared.max(2)
    }
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
            // What a graph only claims.
            (Task::Classify, None, 1 << 50),
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
