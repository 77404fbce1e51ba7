//! Adds a model to the model repository. A checkpoint from the hub or from a folder is exported beside the other
//! models, and appears there complete or not at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::export::{ExportOptions, ExportRequest, export};
use super::failure::ConvertError;
use super::report::ExportReport;
use crate::export::GRAPH_FILE;
use crate::hub::{FoundRevision, Hub, HubError, Observer, Origin, check_part};
use crate::model_folder::{CheckpointOrigin, Provenance, usual_graph};

/// Locked while a model folder is made or replaced.
const LOCK_FILE: &str = ".pull.lock";
/// A file that a user may have added to a model folder. It is kept when the model is replaced.
const KEPT_FILE: &str = "electra.toml";

/// A model to add, and its repository.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The origin of the checkpoint.
    pub origin: Origin,
    /// The model repository; created if it does not exist.
    pub models: PathBuf,
    /// The model's name; `None` for the name of its hub repository or folder.
    pub name: Option<String>,
    /// Whether to replace a model of another origin, and to export the same one again.
    pub force: bool,
    pub export: ExportOptions,
}

/// A model in the repository.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The model's folder.
    pub folder: PathBuf,
    /// The model's provenance, if known.
    pub source: Option<Provenance>,
    /// The export's report; `None` if the model existed before.
    pub report: Option<ExportReport>,
}

/// The reason why a model could not be added to the repository.
#[derive(Debug, Error)]
pub enum PullError {
    /// The hub or its cache did not provide the checkpoint.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The checkpoint can't be exported.
    #[error("{origin} can't be exported as a model: {error}")]
    Export {
        /// The requested checkpoint.
        origin: String,
        error: Box<ConvertError>,
    },
    /// The name is not allowed.
    #[error("A model can't be named `{name}`: {reason}. Give another name with --name.")]
    Name { name: String, reason: &'static str },
    /// The name is taken by another model.
    #[error(
        "{} exists already and {found}, not {wanted}. Choose another name with `electra pull {origin} --name NAME`, or \
         replace it with `electra pull {origin} --force`.",
        .folder.display()
    )]
    Elsewhere {
        /// The existing model folder.
        folder: PathBuf,
        /// Its provenance, as part of a sentence.
        found: String,
        /// The provenance that was requested, as part of a sentence.
        wanted: String,
        /// The requested checkpoint.
        origin: String,
    },
    /// The repository is a model folder.
    #[error(
        "{} is a model folder, not a model repository. Give a folder of model folders with --models.",
        .0.display()
    )]
    NoRepository(PathBuf),
    /// The checkpoint is in the folder where the model would be.
    #[error(
        "{0} is in the model repository already, and servers load it from there. To add it a second time, choose another \
         name with `electra pull {0} --name NAME`."
    )]
    Itself(String),
    /// A file or folder of the repository, or the checkpoint's folder, can't be read or written.
    #[error("{} can't be used: {error}. Give a writable model repository with --models.", .path.display())]
    Folder { path: PathBuf, error: io::Error },
}

/// Downloads missing files, exports the checkpoint and adds it to the repository; blocks. An earlier commit of the same
/// model is replaced. `hub` is called only if the hub or its cache is needed.
///
/// # Errors
/// If the hub does not provide the checkpoint, it can't be exported, another model has its name, or the repository
/// can't be written.
pub fn pull(
    request: &PullRequest,
    hub: &dyn Fn() -> Result<Hub, HubError>,
    observer: &dyn Observer,
) -> Result<Pulled, PullError> {
    let folder = target(request)?;
    if let Origin::Folder(path) = &request.origin
        && is_same_folder(path, &folder)
    {
        return Err(PullError::Itself(path.display().to_string()));
    }
    let wanted = find(request, hub)?;
    if let Some(existing) = existing_model(request, &folder, &wanted.source)? {
        return Ok(existing);
    }
    let checkpoint = match &wanted.place {
        CheckpointPlace::Hub(hub, found) => hub.fetch(found, observer)?,
        CheckpointPlace::Folder(path) => path.clone(),
    };
    std::fs::create_dir_all(&request.models).map_err(unusable(&request.models))?;
    let _lock = lock(&request.models)?;
    // Another process may have made it in the meantime.
    if let Some(existing) = existing_model(request, &folder, &wanted.source)? {
        return Ok(existing);
    }
    let report = export_into_place(request, checkpoint, &folder, &wanted.source)?;
    Ok(Pulled {
        folder,
        source: Some(wanted.source),
        report: Some(report),
    })
}

/// Pulls a model only if the repository does not have it. An existing model is kept as it is, without contacting the
/// hub.
///
/// # Errors
/// As for [`pull`].
pub fn ensure_pulled(
    request: &PullRequest,
    hub: &dyn Fn() -> Result<Hub, HubError>,
    observer: &dyn Observer,
) -> Result<Pulled, PullError> {
    let folder = target(request)?;
    let source = Provenance::read(&folder);
    let is_it = match (&request.origin, &source) {
        (Origin::Hub(reference), Some(source)) => source.checkpoint.satisfies(reference),
        // A model that a user put there, in a folder with this name.
        (Origin::Hub(reference), None) => folder
            .file_name()
            .is_some_and(|name| name == &*reference.to_string()),
        (Origin::Folder(path), Some(source)) => CheckpointOrigin::of_folder(path)
            .is_ok_and(|checkpoint| source.checkpoint.is_same_content_as(&checkpoint)),
        (Origin::Folder(_), None) => false,
    };
    // A checkpoint within the repository is already one of its models.
    let lies_there =
        matches!(&request.origin, Origin::Folder(path) if is_same_folder(path, &folder));
    if lies_there || (is_it && usual_graph(&folder).is_some()) {
        return Ok(Pulled {
            folder,
            source,
            report: None,
        });
    }
    pull(request, hub, observer)
}

/// The requested model and its current version.
struct Wanted {
    source: Provenance,
    place: CheckpointPlace,
}

/// The location of the checkpoint's files.
enum CheckpointPlace {
    Hub(Box<Hub>, FoundRevision),
    Folder(PathBuf),
}

fn find(
    request: &PullRequest,
    hub: &dyn Fn() -> Result<Hub, HubError>,
) -> Result<Wanted, PullError> {
    let (checkpoint, place) = match &request.origin {
        Origin::Hub(reference) => {
            let hub = hub()?;
            let found = hub.find(reference)?;
            let checkpoint = CheckpointOrigin::Hub {
                name: reference.name.to_string(),
                revision: reference.revision.clone(),
                commit: found.commit().to_string(),
                endpoint: hub.endpoint().to_owned(),
            };
            (checkpoint, CheckpointPlace::Hub(Box::new(hub), found))
        }
        Origin::Folder(path) => {
            let checkpoint = CheckpointOrigin::of_folder(path).map_err(unusable(path))?;
            (checkpoint, CheckpointPlace::Folder(path.clone()))
        }
    };
    let source = Provenance {
        checkpoint,
        precision: request.export.precision.to_string(),
        task: request.export.task,
    };
    Ok(Wanted { source, place })
}

/// The folder of the requested model.
fn target(request: &PullRequest) -> Result<PathBuf, PullError> {
    if request.models.join(GRAPH_FILE).is_file() {
        return Err(PullError::NoRepository(request.models.clone()));
    }
    let name = match (&request.name, &request.origin) {
        (Some(name), _) => name.clone(),
        (None, Origin::Hub(reference)) => reference.name.last_part().to_owned(),
        (None, Origin::Folder(path)) => {
            let path = path.canonicalize().map_err(unusable(path))?;
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        }
    };
    check_part(&name).map_err(|reason| PullError::Name {
        name: name.clone(),
        reason,
    })?;
    Ok(request.models.join(&name))
}

/// The existing model in the target folder, if it is the same. A folder with another version or other export options of
/// the same model may be replaced; any other is an error.
fn existing_model(
    request: &PullRequest,
    folder: &Path,
    wanted: &Provenance,
) -> Result<Option<Pulled>, PullError> {
    if request.force || !folder.exists() {
        return Ok(None);
    }
    let source = Provenance::read(folder);
    if source
        .as_ref()
        .is_some_and(|source| source.is_same_as(wanted))
        && usual_graph(folder).is_some()
    {
        return Ok(Some(Pulled {
            folder: folder.to_path_buf(),
            source,
            report: None,
        }));
    }
    let found = match source {
        Some(source) if source.checkpoint.is_another_time_of(&wanted.checkpoint) => {
            return Ok(None);
        }
        Some(source) => format!("comes from {}", source.checkpoint),
        None => "was put there by hand".to_owned(),
    };
    Err(PullError::Elsewhere {
        folder: folder.to_path_buf(),
        found,
        wanted: wanted.checkpoint.to_string(),
        origin: request.origin.to_string(),
    })
}

/// Exports to a hidden folder beside the target, then moves it into place.
fn export_into_place(
    request: &PullRequest,
    checkpoint: PathBuf,
    target: &Path,
    source: &Provenance,
) -> Result<ExportReport, PullError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    remove_leftovers(&request.models, &prefix).map_err(unusable(&request.models))?;
    tracing::info!(origin = %request.origin, folder = %target.display(), "exporting");
    let workshop = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(&request.models)
        .map_err(unusable(&request.models))?;
    // The model's folder is a subfolder with normal permissions; only this process can read the one around it.
    let (made, replaced) = (
        workshop.path().join("made"),
        workshop.path().join("replaced"),
    );
    let wanted = ExportRequest {
        checkpoint,
        output: made.clone(),
        options: request.export.clone(),
    };
    let report = export(&wanted).map_err(|error| PullError::Export {
        origin: request.origin.to_string(),
        error: Box::new(error),
    })?;
    source.write(&made).map_err(unusable(&made))?;
    let kept = target.join(KEPT_FILE);
    if kept.is_file() {
        std::fs::copy(&kept, made.join(KEPT_FILE)).map_err(unusable(&kept))?;
    }
    put_in_place(&made, target, &replaced).map_err(unusable(target))?;
    Ok(report)
}

/// Moves a folder into place and moves the one that was there away, atomically if the system supports it.
fn put_in_place(made: &Path, target: &Path, replaced: &Path) -> io::Result<()> {
    if !target.exists() {
        return std::fs::rename(made, target);
    }
    if exchange(made, target).is_ok() {
        return Ok(());
    }
    std::fs::rename(target, replaced)?;
    std::fs::rename(made, target).inspect_err(|_| {
        // Restore the old folder. If that fails too, the first error says more.
        let _ = std::fs::rename(replaced, target);
    })
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(left: &Path, right: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, left, CWD, right, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes leftovers of earlier attempts whose processes were killed. The lock ensures that none is still running.
fn remove_leftovers(models: &Path, prefix: &str) -> io::Result<()> {
    for entry in std::fs::read_dir(models)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Locks a repository, which only one process at a time may change.
fn lock(models: &Path) -> Result<File, PullError> {
    let path = models.join(LOCK_FILE);
    let file = File::create(&path).map_err(unusable(&path))?;
    match file.lock() {
        // On a file system without locks, assume that no second process writes.
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(unusable(&path)(error)),
        _ => Ok(file),
    }
}

fn is_same_folder(left: &Path, right: &Path) -> bool {
    matches!((left.canonicalize(), right.canonicalize()), (Ok(left), Ok(right)) if left == right)
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> PullError {
    let path = path.to_path_buf();
    move |error| PullError::Folder { path, error }
}
