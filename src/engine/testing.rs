//! What the engine's tests share: small checkpoints, exported.

use std::path::{Path, PathBuf};

use super::{Precision, Runtime};
use crate::export::{GRAPH_FILE, export_graph};

/// A small checkpoint's graph in a folder of its own, which goes when this is dropped.
pub struct ExportedGraph {
    pub folder: tempfile::TempDir,
}

impl ExportedGraph {
    pub fn of(checkpoint: &str, precision: Precision) -> Self {
        let checkpoints = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/checkpoints");
        let checkpoint = checkpoints.join(checkpoint);
        let folder = tempfile::tempdir().unwrap();
        let config = "config.json";
        std::fs::copy(checkpoint.join(config), folder.path().join(config)).unwrap();
        export_graph(&checkpoint, folder.path(), precision, None).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join(GRAPH_FILE)
    }
}

/// A file of `tests/golden/graphs`: graphs of other exporters.
pub fn other_graph(path: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    project.join("tests/golden/graphs").join(path)
}

/// ONNX Runtime, as the environment names it or `make runtime` fetches it.
pub fn runtime() -> Runtime {
    let named = std::env::var_os("ELECTRA_ONNXRUNTIME_LIBRARY");
    Runtime::load(named.as_deref().map(Path::new)).unwrap()
}
