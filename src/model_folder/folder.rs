//! Finds the models of a model repository, and the versions of each.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;

use super::provenance::Source;
use super::settings::ModelSettings;
use super::version::Version;
use crate::export::GRAPH_FILE;
use crate::export::adapter::is_adapter;
use crate::export::checkpoint::is_checkpoint;
use crate::model_config::ModelConfig;
use crate::task::Task;

/// How deep files may lie in a model's folder to count as its own.
const DEPTH: usize = 3;

/// A model: a folder that holds what is needed to run it, or numbered folders that do.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundModel {
    /// Its name: the folder's.
    pub name: String,
    /// What electra.toml in its folder says, or what is wrong with it.
    pub settings: Result<ModelSettings, String>,
    /// The name that it was pulled by from the hub (`ORG/NAME`), if it was.
    pub hub_name: Option<String>,
    /// Its versions, the lowest first; at least one.
    pub versions: Vec<ModelFolder>,
}

/// The folder of one version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The model's name.
    pub name: String,
    /// Which version of it this is.
    pub version: Version,
    /// The folder with its files.
    pub path: PathBuf,
    /// The folder of the model, where that is another.
    pub parent: Option<PathBuf>,
    /// What there is to run.
    pub content: Content,
}

/// What a model folder has to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// This graph: the one that electra.toml names, `model.onnx`, or `onnx/model.onnx` as Hugging Face Optimum lays it out;
    /// where there is neither, nor a checkpoint, the only one there is.
    Graph(PathBuf),
    /// A checkpoint's weights, of which a graph is made first.
    Checkpoint,
    /// Several graphs by other names, relative to the folder: electra.toml must name one.
    Unclear(Vec<PathBuf>),
}

/// Names, lengths and times of a version's files: another fingerprint means other files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, u64, Option<SystemTime>)>);

/// Why there is nothing to serve.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The repository can't be read.
    #[error(
        "The models folder {} can't be read: {source}. Name another by --models, ELECTRA_MODELS or the key models.",
        .path.display()
    )]
    Unreadable {
        /// The repository.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No folder in it is a model.
    #[error(
        "There is no model in {}: a model is a folder with model.onnx (or onnx/model.onnx, or a checkpoint's weights), \
         config.json, and tokenizer.json or vocab.txt. Put a checkpoint's folder there, make a model of one by \
         `electra export CHECKPOINT --output {}/NAME`, fetch one from the Hugging Face hub by `electra pull NAME --models {}`, \
         or name another folder by --models.",
        .path.display(), .path.display(), .path.display()
    )]
    Empty {
        /// The repository.
        path: PathBuf,
    },
}

/// The models of a repository by name. A repository that is itself a model is one of that model.
///
/// # Errors
/// Where the folder can't be read or holds no model, with what to do.
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

/// The folder as a model, if it is one. Hidden folders are none, nor are those whose name is no UTF-8; a folder named as
/// a version is one of the repository's models only if its parent is no model.
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
    // The note lies in the model's folder, or in that of a version, where versions have folders of their own.
    let numbered = versions
        .iter()
        .rev()
        .filter(|version| version.parent.is_some());
    let places = numbered.map(|version| version.path.as_path());
    let hub_name = std::iter::once(folder)
        .chain(places)
        .find_map(|place| Source::read(place)?.checkpoint.into_hub_name());
    Some(FoundModel {
        name: name.to_owned(),
        settings,
        hub_name,
        versions,
    })
}

/// The versions in a model's folder, the lowest first.
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

/// What a folder has to run, if it has a tokenizer too.
fn content(folder: &Path, graph: Option<&Path>) -> Option<Content> {
    let holds = |files: &[&str]| files.iter().any(|file| folder.join(file).is_file());
    // An adapter is no model; loading says what it is, and what to do with it.
    let adapter = || is_adapter(|file| holds(&[file])).then_some(Content::Checkpoint);
    if !holds(&["tokenizer.json", "vocab.txt"]) {
        return adapter();
    }
    match graph {
        // Whether it is there or not: if not, loading says so.
        Some(graph) => Some(Content::Graph(folder.join(graph))),
        None => usual_graph(folder)
            .map(Content::Graph)
            .or_else(|| is_checkpoint(folder).then_some(Content::Checkpoint))
            .or_else(|| graphs(folder))
            .or_else(adapter),
    }
}

/// The graph where exporters put it: `model.onnx`, or `onnx/model.onnx` as Hugging Face Optimum does.
#[must_use]
pub fn usual_graph(folder: &Path) -> Option<PathBuf> {
    let usual = [
        folder.join(GRAPH_FILE),
        folder.join("onnx").join(GRAPH_FILE),
    ];
    usual.into_iter().find(|file| file.is_file())
}

/// The graphs of a folder whatever their names, such as the `model_quantized.onnx` that Optimum writes.
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

impl ModelFolder {
    /// What the electra.toml of this version and of its model say.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong in it.
    pub fn settings(&self) -> Result<ModelSettings, String> {
        let folders: Vec<&Path> = self
            .parent
            .iter()
            .chain([&self.path])
            .map(PathBuf::as_path)
            .collect();
        ModelSettings::read(&folders)
    }

    /// The task that its files name before anything is loaded; None if they name none, or can't be read.
    #[must_use]
    pub fn declared_task(&self) -> Option<Task> {
        let config = ModelConfig::from_folder(&self.path).ok()?;
        config.task().or_else(|| self.settings().ok()?.task)
    }

    /// The fingerprint of its files as they are now. Hidden folders do not count: what is made of a checkpoint lies in
    /// such a one. Hidden files do: programs that copy give a file such a name until it is complete.
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
    /// One that differs from others by this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(vec![(name.into(), 0, None)])
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
mod tests {
    use super::*;

    fn repository(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn versions(model: &FoundModel) -> Vec<String> {
        let versions = model.versions.iter();
        versions.map(|folder| folder.version.to_string()).collect()
    }

    #[test]
    fn a_model_has_something_to_run_and_a_tokenizer() {
        let folder = repository(&[
            "b/model.onnx",
            "b/vocab.txt",
            "a/onnx/model.onnx",
            "a/tokenizer.json",
            "c/model.safetensors",
            "c/vocab.txt",
            "d/pytorch_model.bin",
            "d/tokenizer.json",
            "graph-only/model.onnx",
            "tokenizer-only/vocab.txt",
            ".hidden/model.onnx",
            ".hidden/vocab.txt",
            "README.md",
        ]);
        let models = scan(folder.path()).unwrap();
        let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert!(matches!(
            &models[0].versions[0].content,
            Content::Graph(graph) if graph.ends_with("a/onnx/model.onnx")
        ));
        for checkpoint in &models[2..] {
            assert_eq!(checkpoint.versions[0].content, Content::Checkpoint);
        }
    }

    #[test]
    fn numbered_folders_are_versions() {
        let folder = repository(&[
            "m/10/model.onnx",
            "m/10/vocab.txt",
            "m/9/model.onnx",
            "m/9/vocab.txt",
            "m/11/model.onnx",
            "m/v12/model.onnx",
            "m/v12/vocab.txt",
            "m/.13/vocab.txt",
        ]);
        let models = scan(folder.path()).unwrap();
        assert_eq!(models.len(), 1);
        assert_eq!(versions(&models[0]), ["9", "10"], "11 has no tokenizer yet");
    }

    #[test]
    fn a_model_folder_is_a_repository_of_one() {
        let folder = repository(&[
            "one/model.onnx",
            "one/vocab.txt",
            "two/1/model.onnx",
            "two/1/vocab.txt",
        ]);
        for name in ["one", "two"] {
            let models = scan(&folder.path().join(name)).unwrap();
            assert_eq!((models.len(), models[0].name.as_str()), (1, name));
            assert_eq!(versions(&models[0]), ["1"]);
        }
    }

    #[test]
    fn electra_toml_chooses_the_graph() {
        let folder = repository(&["m/model.onnx", "m/vocab.txt", "m/onnx/model_quantized.onnx"]);
        let write =
            |text: &str| std::fs::write(folder.path().join("m/electra.toml"), text).unwrap();
        write("graph = \"onnx/model_quantized.onnx\"");
        let model = &scan(folder.path()).unwrap()[0];
        assert!(matches!(
            &model.versions[0].content,
            Content::Graph(graph) if graph.ends_with("m/onnx/model_quantized.onnx")
        ));
        write("grph = 1");
        let model = &scan(folder.path()).unwrap()[0];
        assert!(model.settings.as_ref().unwrap_err().contains("`graph`"));
    }

    #[test]
    fn a_graph_by_another_name_is_taken_where_it_is_the_only_one() {
        let folder = repository(&["m/vocab.txt", "m/onnx/model_quantized.onnx"]);
        let content = || {
            scan(folder.path())
                .unwrap()
                .remove(0)
                .versions
                .remove(0)
                .content
        };
        assert!(
            matches!(content(), Content::Graph(graph) if graph.ends_with("m/onnx/model_quantized.onnx"))
        );
        std::fs::write(folder.path().join("m/model_fp16.onnx"), "").unwrap();
        let both = ["model_fp16.onnx".into(), "onnx/model_quantized.onnx".into()];
        assert_eq!(content(), Content::Unclear(both.to_vec()));
        std::fs::write(folder.path().join("m/model.safetensors"), "").unwrap();
        assert_eq!(content(), Content::Checkpoint);
    }

    #[test]
    fn other_files_have_another_fingerprint() {
        let folder = repository(&["m/2/model.onnx", "m/2/vocab.txt"]);
        let model = scan(folder.path()).unwrap().remove(0).versions.remove(0);
        let mut seen = vec![model.fingerprint()];
        assert_eq!(model.fingerprint(), seen[0]);
        for (file, text) in [
            ("m/2/model.onnx", "1"),
            ("m/2/onnx/x", ""),
            ("m/electra.toml", ""),
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            let now = model.fingerprint();
            assert!(!seen.contains(&now), "{file}");
            seen.push(now);
        }
        std::fs::create_dir(folder.path().join("m/2/.electra")).unwrap();
        std::fs::write(folder.path().join("m/2/.electra/model.onnx"), "1").unwrap();
        assert_eq!(model.fingerprint(), seen[3]);
    }

    #[test]
    fn nothing_to_serve_says_what_to_do() {
        let error = scan(Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("--models"), "{error}");
        let folder = repository(&["raw/config.json"]);
        let error = scan(folder.path()).unwrap_err().to_string();
        assert!(
            [
                "model.onnx",
                "checkpoint",
                "electra export",
                "electra pull NAME"
            ]
            .iter()
            .all(|part| error.contains(part)),
            "{error}"
        );
    }
}
