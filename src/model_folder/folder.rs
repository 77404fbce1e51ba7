//! Finds the models of a model repository and their versions.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;

use super::provenance::Provenance;
use super::settings::ModelSettings;
use super::settings_error::SettingsError;
use super::version::Version;
use crate::export::GRAPH_FILE;
use crate::export::adapter::is_adapter;
use crate::export::checkpoint::is_checkpoint;
use crate::model_config::ModelConfig;
use crate::task::Task;

/// Files up to this depth in a model's folder belong to the model.
const DEPTH: usize = 3;

/// A model: a folder with the files needed to run it, or with numbered folders that have them.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundModel {
    /// The folder's name.
    pub name: String,
    /// The content of its electra.toml, or what is wrong in it.
    pub settings: Result<ModelSettings, SettingsError>,
    /// The hub name that it was pulled from (`ORG/NAME`), if any.
    pub hub_name: Option<String>,
    /// In ascending order, at least one.
    pub versions: Vec<ModelFolder>,
}

/// The folder of one version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    pub name: String,
    pub version: Version,
    /// The folder with the version's files.
    pub path: PathBuf,
    /// The model's folder, if the version has a folder of its own.
    pub parent: Option<PathBuf>,
    pub content: Content,
}

/// The runnable content of a model folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A graph: the one that electra.toml names, `model.onnx`, or `onnx/model.onnx` as Hugging Face Optimum lays it
    /// out. Without any of these and without a checkpoint, the folder's only graph.
    Graph(PathBuf),
    /// The weights of a checkpoint, which is exported to a graph first.
    Checkpoint,
    /// Several graphs with other names, relative to the folder. electra.toml must name one.
    Unclear(Vec<PathBuf>),
}

/// Names, lengths and modification times of a version's files. It changes if the files do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, u64, Option<SystemTime>)>);

/// Why the repository can't be served.
#[derive(Debug, Error)]
pub enum ScanError {
    #[error(
        "The models folder {} can't be read: {source}. Set another with --models, ELECTRA_MODELS or the key models.",
        .path.display()
    )]
    Unreadable { path: PathBuf, source: io::Error },
    /// No folder in the repository is a model.
    #[error(
        "There is no model in {}: a model is a folder with model.onnx (or onnx/model.onnx, or a checkpoint's weights), \
         config.json, and tokenizer.json or vocab.txt. Put a checkpoint's folder there, make a model of one by \
         `electra export CHECKPOINT --output {}/NAME`, fetch one from the Hugging Face hub by `electra pull NAME --models {}`, \
         or name another folder by --models.",
        .path.display(), .path.display(), .path.display()
    )]
    Empty { path: PathBuf },
}

/// Lists the models of a repository by name. If the repository is itself a model folder, lists that model only.
///
/// # Errors
/// If the folder can't be read or holds no model. The sentence says what to do.
pub fn scan(path: &Path) -> Result<Vec<FoundModel>, ScanError> {
    let unreadable = |source| ScanError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let absolute = path.canonicalize().map_err(unreadable)?;
    if let Some(model) = as_model(&absolute) {
        return Ok(vec![model]);
    }
    let mut models = Vec::new();
    for entry in std::fs::read_dir(&absolute).map_err(unreadable)? {
        models.extend(as_model(&entry.map_err(unreadable)?.path()));
    }
    if models.is_empty() {
        return Err(ScanError::Empty {
            path: path.to_owned(),
        });
    }
    models.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(models)
}

/// Reads the folder as a model. `None` for a hidden folder, or one whose name is not UTF-8. A folder named like a
/// version is a model only if its parent is not.
fn as_model(folder: &Path) -> Option<FoundModel> {
    let name = folder.file_name()?.to_str()?;
    if name.starts_with('.') {
        return None;
    }
    let settings = ModelSettings::read(&[folder]);
    let mut versions = numbered(folder, name);
    if versions.is_empty() {
        let graph = settings
            .as_ref()
            .ok()
            .and_then(|settings| settings.graph.as_deref());
        versions.push(ModelFolder {
            name: name.to_owned(),
            version: Version::ONLY,
            path: folder.to_owned(),
            parent: None,
            content: content(folder, graph)?,
        });
    }
    // source.json is in the model's folder, or in the version's folder if versions have folders of their own.
    let numbered = versions
        .iter()
        .rev()
        .filter(|version| version.parent.is_some());
    let places = numbered.map(|version| version.path.as_path());
    let hub_name = std::iter::once(folder)
        .chain(places)
        .find_map(|place| Provenance::read(place)?.checkpoint.into_hub_name());
    Some(FoundModel {
        name: name.to_owned(),
        settings,
        hub_name,
        versions,
    })
}

/// The versions in a model's folder, in ascending order.
fn numbered(folder: &Path, name: &str) -> Vec<ModelFolder> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let version = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let version = Version::named(entry.file_name().to_str()?)?;
        let settings = ModelSettings::read(&[folder, &path]).ok();
        let graph = settings.and_then(|settings| settings.graph);
        Some(ModelFolder {
            name: name.to_owned(),
            version,
            content: content(&path, graph.as_deref())?,
            path,
            parent: Some(folder.to_owned()),
        })
    };
    let mut versions: Vec<_> = entries.filter_map(version).collect();
    versions.sort_by_key(|found| found.version);
    versions
}

/// The runnable content of a folder. `None` without a tokenizer.
fn content(folder: &Path, graph: Option<&Path>) -> Option<Content> {
    let holds = |files: &[&str]| files.iter().any(|file| folder.join(file).exists());
    // An adapter is not a model, but it is listed so that loading can explain the problem.
    let adapter = || is_adapter(|file| holds(&[file])).then_some(Content::Checkpoint);
    if !holds(&["tokenizer.json", "vocab.txt"]) {
        return adapter();
    }
    match graph {
        // Not checked here: if the file is missing, loading reports it.
        Some(graph) => Some(Content::Graph(folder.join(graph))),
        None => usual_graph(folder)
            .map(Content::Graph)
            .or_else(|| is_checkpoint(folder).then_some(Content::Checkpoint))
            .or_else(|| graphs(folder))
            .or_else(adapter),
    }
}

/// The graph at the path that exporters use: `model.onnx`, or `onnx/model.onnx` as Hugging Face Optimum does.
#[must_use]
pub fn usual_graph(folder: &Path) -> Option<PathBuf> {
    let usual = [
        folder.join(GRAPH_FILE),
        folder.join("onnx").join(GRAPH_FILE),
    ];
    usual.into_iter().find(|file| file.exists())
}

/// Graphs with any other name, such as the `model_quantized.onnx` that Optimum writes.
fn graphs(folder: &Path) -> Option<Content> {
    let in_folder = |inner: &'static str| {
        let entries = std::fs::read_dir(folder.join(inner)).into_iter().flatten();
        entries
            .flatten()
            .map(move |entry| Path::new(inner).join(entry.file_name()))
    };
    let mut graphs: Vec<PathBuf> = in_folder("")
        .chain(in_folder("onnx"))
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "onnx")
        })
        .collect();
    graphs.sort();
    match graphs.as_slice() {
        [] => None,
        [only] => Some(Content::Graph(folder.join(only))),
        _ => Some(Content::Unclear(graphs)),
    }
}

impl FoundModel {
    /// Whether electra.toml selects this version. If it can't be read, all versions are selected.
    #[must_use]
    pub fn selects(&self, version: Version) -> bool {
        let highest = self.versions.last().map(|folder| folder.version);
        self.settings.as_ref().map_or(true, |settings| {
            (settings.versions).selects(version, highest.unwrap_or(version))
        })
    }
}

impl ModelFolder {
    /// The merged electra.toml of this version and its model.
    ///
    /// # Errors
    /// A sentence that names the file and the mistake in it.
    pub fn settings(&self) -> Result<ModelSettings, SettingsError> {
        let folders: Vec<&Path> = self
            .parent
            .iter()
            .chain([&self.path])
            .map(PathBuf::as_path)
            .collect();
        ModelSettings::read(&folders)
    }

    /// The task that its files name, without loading it. `None` if they name none or can't be read.
    #[must_use]
    pub fn declared_task(&self) -> Option<Task> {
        let config = ModelConfig::from_folder(&self.path).ok()?;
        config.task().or_else(|| self.settings().ok()?.task)
    }

    /// Whether its folder, its model's or its graph's is there but empty or unreadable, as if its volume had gone.
    /// Otherwise, a folder without a model has lost it on purpose.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let of_graph = match &self.content {
            Content::Graph(file) => file.parent(),
            _ => None,
        };
        let of_model = self.parent.as_deref();
        let mut folders = of_model.into_iter().chain([&*self.path]).chain(of_graph);
        folders.any(holds_nothing)
    }

    /// The fingerprint of its current files. Ignores hidden folders, since exports of a checkpoint are stored in one.
    /// Includes hidden files, since copy programs use such names for incomplete files.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut files = Vec::new();
        list(&self.path, DEPTH, &mut files);
        if let Some(parent) = &self.parent {
            files.extend(described(&parent.join(super::settings::SETTINGS_FILE)));
        }
        files.sort();
        Fingerprint(files)
    }
}

#[cfg(test)]
impl Fingerprint {
    /// A fingerprint that differs from those with other names.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(vec![(name.into(), 0, None)])
    }
}

/// Whether a folder is there, but nothing in it can be read.
fn holds_nothing(folder: &Path) -> bool {
    let is_gone = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    // A link to a folder that is gone is still there.
    if folder.symlink_metadata().is_err_and(is_gone) {
        return false;
    }
    match std::fs::read_dir(folder) {
        Ok(entries) => !entries.flatten().any(|entry| entry.path().exists()),
        Err(error) => error.kind() != io::ErrorKind::NotADirectory,
    }
}

fn list(folder: &Path, depth: usize, files: &mut Vec<(PathBuf, u64, Option<SystemTime>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() {
            files.extend(described(&path));
        } else if depth > 1 && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            list(&path, depth - 1, files);
        }
    }
}

fn described(file: &Path) -> Option<(PathBuf, u64, Option<SystemTime>)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((file.to_owned(), metadata.len(), metadata.modified().ok()))
}

#[cfg(test)]
mod tests;
