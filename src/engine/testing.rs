//! Exported small checkpoints and a runtime, for the engine's tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::description::Description;
use super::external_data::ExternalData;
use super::weights::check_external;
use super::{Precision, Runtime, RuntimeError};
use crate::export::{GRAPH_FILE, export_graph};

/// The graph of a small checkpoint, in a temporary folder that is deleted on drop.
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

/// A file of `tests/golden/graphs`: a graph of another exporter.
pub fn other_graph(path: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    project.join("tests/golden/graphs").join(path)
}

/// ONNX Runtime, as the environment names it or `make runtime` fetches it. `None` if it is nowhere, so that unit tests
/// run on a checkout without it: a test that needs it then ends early. With CI or `ELECTRA_REQUIRE_ONNXRUNTIME` in the
/// environment that is a failure, so that no test is skipped unseen where all must run.
pub fn runtime() -> Option<Runtime> {
    let named = std::env::var_os("ELECTRA_ONNXRUNTIME_LIBRARY");
    let required = ["CI", "ELECTRA_REQUIRE_ONNXRUNTIME"].map(std::env::var_os);
    match Runtime::load(named.as_deref().map(Path::new)) {
        Err(RuntimeError::NotFound { .. }) if required == [None, None] => {
            tell_skipped();
            None
        }
        loaded => Some(loaded.unwrap()),
    }
}

/// Says once for each test that it was skipped.
fn tell_skipped() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    // The harness names its threads by their tests.
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let mut told = TOLD.lock().unwrap();
    if !told.contains(&test) {
        // Not by `eprintln`, which the harness shows only for tests that fail.
        let message = format!("skipped {test}: no ONNX Runtime; `make runtime` fetches it\n");
        let _ = std::io::stderr().write_all(message.as_bytes());
        told.push(test);
    }
}

/// Reads and describes a graph as far as is possible without ONNX Runtime.
pub fn describe(path: &Path) {
    let Ok(description) = Description::read(path) else {
        return;
    };
    let _ = description.first_output_dimension();
    let _ = check_external(&description.model, path);
    let mut data = ExternalData::beside(&description.file.path);
    for tensor in description
        .model
        .graph
        .iter()
        .flat_map(|graph| &graph.initializer)
    {
        let _ = data.values::<f32>(tensor);
        let _ = data.values::<i8>(tensor);
    }
    let _ = description.fused();
}
