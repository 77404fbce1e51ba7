//! Exports a folder that holds only a checkpoint, and stores the graph there for later starts.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::load_error::LoadError;
use crate::convert::{ExportOptions, ExportReport, ExportRequest, export};
use crate::export::GRAPH_FILE;
use crate::files;
use crate::model_folder::ModelFolder;

/// The folder for exports, inside the checkpoint's folder.
const KEPT: &str = ".electra";
/// Records the files that an export was made from. Written last.
const SOURCE: &str = "source.txt";

/// A folder with a graph of the checkpoint.
#[derive(Debug)]
pub struct PreparedCheckpoint {
    /// The folder with graph, tokenizer and config.json.
    pub path: PathBuf,
    /// Used if the checkpoint's own folder is not writable. Deleted once the graph is loaded.
    _temporary: Option<TempDir>,
}

/// Returns the stored export if it was made from the checkpoint's current files, and makes a new one otherwise.
///
/// # Errors
/// If the checkpoint can't be exported, or the export can't be stored.
pub fn prepare(
    folder: &ModelFolder,
    options: ExportOptions,
) -> Result<PreparedCheckpoint, LoadError> {
    let kept = folder.path.join(KEPT).join(options.precision.to_string());
    // Another release may build another graph, and another device may use another precision.
    let source = format!(
        "{} {} {:?}\n",
        env!("CARGO_PKG_VERSION"),
        options.device,
        folder.fingerprint()
    );
    let is_current = |path: &Path| {
        path.join(GRAPH_FILE).is_file()
            && files::read_text(&path.join(SOURCE), files::most::NOTE)
                .is_ok_and(|text| text == source)
    };
    if is_current(&kept) {
        return Ok(PreparedCheckpoint {
            path: kept,
            _temporary: None,
        });
    }
    let (path, temporary) = match writable(&kept) {
        Ok(()) => (kept, None),
        Err(error) => {
            tracing::info!(
                model = folder.name,
                %error,
                "the export can't be stored in the checkpoint's folder and is repeated at every start"
            );
            let temporary = tempfile::tempdir().map_err(|error| LoadError::Keeping {
                folder: std::env::temp_dir(),
                error,
            })?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let started = std::time::Instant::now();
    let report = export(&ExportRequest {
        checkpoint: folder.path.clone(),
        output: path.clone(),
        options,
    })?;
    tell(folder, &report, started.elapsed().as_millis());
    let marked = files::replace(&path.join(SOURCE), source.as_bytes());
    if let Err(error) = marked.as_ref()
        && temporary.is_none()
    {
        tracing::warn!(model = folder.name, %error, "the export can't be recorded and is repeated at the next start");
    }
    Ok(PreparedCheckpoint {
        path,
        _temporary: temporary,
    })
}

/// Creates the folder, and invalidates the export in it until the next one is complete.
fn writable(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    files::replace(&folder.join(SOURCE), b"")
}

fn tell(folder: &ModelFolder, report: &ExportReport, milliseconds: u128) {
    let (model, precision) = (&folder.name, report.exported.precision);
    let reason = report.selection.as_ref().map(ToString::to_string);
    let comparison = report.comparison.as_ref().map(ToString::to_string);
    if let Some(unused) = report.exported.unused_tensors() {
        tracing::warn!(model, "{unused}");
    }
    tracing::info!(model, %precision, reason, comparison, milliseconds, "checkpoint exported");
}
