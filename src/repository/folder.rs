//! Finds the model folders of a model repository.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::export::GRAPH_FILE;
use crate::export::checkpoint::is_checkpoint;

/// A folder that holds a graph and a tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The model's name: the folder's.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// Its graph: `model.onnx`, or `onnx/model.onnx` as Hugging Face Optimum lays it out.
    pub graph: PathBuf,
}

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
        "There is no model in {}: a model is a folder with model.onnx (or onnx/model.onnx) and tokenizer.json or \
         vocab.txt. Make one by `electra export CHECKPOINT --output {}/NAME`, or name another folder by --models.{}",
        .path.display(), .path.display(), .checkpoints
    )]
    Empty {
        /// The repository.
        path: PathBuf,
        /// A sentence about the checkpoints that lie there, with a space before it, or nothing.
        checkpoints: String,
    },
}

/// The models of a repository. A repository that is itself a model folder holds that one model.
pub fn scan(path: &Path) -> Result<Vec<ModelFolder>, ScanError> {
    let unreadable = |source| ScanError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let absolute = path.canonicalize().map_err(unreadable)?;
    if let Some(model) = as_model(&absolute) {
        return Ok(vec![model]);
    }
    let (mut models, mut checkpoints) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        if let Some(model) = as_model(&folder) {
            models.push(model);
        } else if is_checkpoint(&folder) {
            tracing::warn!(
                folder = %folder.display(),
                "this folder holds a checkpoint but no graph and is not served; make a model of it by `electra export`"
            );
            checkpoints.push(format!("`{}`", folder.display()));
        }
    }
    if models.is_empty() {
        checkpoints.sort();
        let checkpoints = match checkpoints.as_slice() {
            [] => String::new(),
            some => format!(" Checkpoints without a graph lie in {}.", some.join(", ")),
        };
        return Err(ScanError::Empty {
            path: path.to_owned(),
            checkpoints,
        });
    }
    models.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(models)
}

/// The folder as a model, if it is one. Hidden folders are none, nor are those whose name is no UTF-8.
fn as_model(folder: &Path) -> Option<ModelFolder> {
    let name = folder.file_name()?.to_str()?;
    let graph = [
        folder.join(GRAPH_FILE),
        folder.join("onnx").join(GRAPH_FILE),
    ]
    .into_iter()
    .find(|file| file.is_file())?;
    let tokenizer = ["tokenizer.json", "vocab.txt"]
        .iter()
        .any(|file| folder.join(file).is_file());
    (tokenizer && !name.starts_with('.')).then(|| ModelFolder {
        name: name.to_owned(),
        path: folder.to_owned(),
        graph,
    })
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

    #[test]
    fn a_model_is_a_folder_with_a_graph_and_a_tokenizer() {
        let folder = repository(&[
            "b/model.onnx",
            "b/vocab.txt",
            "a/onnx/model.onnx",
            "a/tokenizer.json",
            "graph-only/model.onnx",
            "tokenizer-only/vocab.txt",
            ".hidden/model.onnx",
            ".hidden/vocab.txt",
            "README.md",
        ]);
        let models = scan(folder.path()).unwrap();
        let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(models[0].graph.ends_with("a/onnx/model.onnx"));
    }

    #[test]
    fn a_model_folder_is_a_repository_of_one() {
        let folder = repository(&["one/model.onnx", "one/vocab.txt"]);
        let models = scan(&folder.path().join("one")).unwrap();
        assert_eq!(models.len(), 1);
        assert_eq!(models[0].name, "one");
    }

    #[test]
    fn nothing_to_serve_says_what_to_do() {
        let error = scan(Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("--models"), "{error}");
        let folder = repository(&["raw/model.safetensors"]);
        let error = scan(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("electra export") && error.contains("raw`"),
            "{error}"
        );
    }
}
