//! Brings a model into the model repository: a checkpoint from the hub or a folder is exported beside the others, and
//! appears there complete or not at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::export::{ExportOptions, ExportRequest, export};
use super::failure::ExportFailure;
use super::report::ExportReport;
use crate::export::GRAPH_FILE;
use crate::hub::{Found, Hub, HubError, Observer, Origin, check_part};
use crate::model_folder::{Checkpoint, Source, usual_graph};

/// Held while a model folder is made or replaced.
const LOCK_FILE: &str = ".pull.lock";
/// What a person may have added to a model folder; it outlives the folder's content.
const KEPT_FILE: &str = "electra.toml";

/// What to bring into which repository.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The checkpoint.
    pub origin: Origin,
    /// The model repository; made where it is not there.
    pub models: PathBuf,
    /// The model's name; that of the repository or folder it comes from where `None`.
    pub name: Option<String>,
    /// Whether to replace a model that came from elsewhere, and to make the same one again.
    pub force: bool,
    /// How it is exported.
    pub export: ExportOptions,
}

/// A model that is in the repository now.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Its folder.
    pub folder: PathBuf,
    /// What it was made of, where that is known.
    pub source: Option<Source>,
    /// What the export says; `None` where it was there before.
    pub report: Option<ExportReport>,
}

/// Why the model is not in the repository.
#[derive(Debug, Error)]
pub enum PullError {
    /// The hub does not give it.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// It can't be exported.
    #[error("{origin} can't be made a model: {error}")]
    Export {
        /// What was asked for.
        origin: String,
        /// Why.
        error: Box<ExportFailure>,
    },
    /// The model can't be called so.
    #[error("A model can't be named `{name}`: {reason}. Give another name with --name.")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something else has the name.
    #[error(
        "{} is there already and {found}, not {wanted}. Take another name by `electra pull {origin} --name NAME`, or replace \
         it by `electra pull {origin} --force`.",
        .folder.display()
    )]
    Elsewhere {
        /// The model folder.
        folder: PathBuf,
        /// Where it came from, as half a sentence.
        found: String,
        /// What it should have come from.
        wanted: String,
        /// As it was asked for.
        origin: String,
    },
    /// The repository is a model.
    #[error(
        "{} is itself a model folder, so no model can be put into it. Name a folder of model folders by --models.",
        .0.display()
    )]
    NoRepository(PathBuf),
    /// The checkpoint lies where the model should.
    #[error(
        "{0} lies in the model repository already, where a server makes a model of it as it is. Take another name by \
         `electra pull {0} --name NAME` to have it twice."
    )]
    Itself(String),
    /// A file or folder of the repository, or the checkpoint's folder, can't be read or written.
    #[error("{} can't be used: {error}. Name a model repository that can be written by --models.", .path.display())]
    Folder {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Fetches what is missing, exports it and puts it into the repository, in place of an earlier commit of the same; blocks.
/// `hub` is called where the hub or its cache is needed.
///
/// # Errors
/// Where the hub does not give it, it can't be exported, its name is taken by something else, or the repository can't be
/// written.
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
    if let Some(standing) = standing(request, &folder, &wanted.source)? {
        return Ok(standing);
    }
    let checkpoint = match &wanted.place {
        Place::Hub(hub, found) => hub.fetch(found, observer)?,
        Place::Folder(path) => path.clone(),
    };
    std::fs::create_dir_all(&request.models).map_err(unusable(&request.models))?;
    let _lock = lock(&request.models)?;
    // Another process may have made it meanwhile.
    if let Some(standing) = standing(request, &folder, &wanted.source)? {
        return Ok(standing);
    }
    let report = make(request, checkpoint, &folder, &wanted.source)?;
    Ok(Pulled {
        folder,
        source: Some(wanted.source),
        report: Some(report),
    })
}

/// The same where the repository has no such model yet; otherwise nothing is asked of the hub, and the model stays as it
/// is.
///
/// # Errors
/// As for [`pull`].
pub fn provide(
    request: &PullRequest,
    hub: &dyn Fn() -> Result<Hub, HubError>,
    observer: &dyn Observer,
) -> Result<Pulled, PullError> {
    let folder = target(request)?;
    let source = Source::read(&folder);
    let is_it = match (&request.origin, &source) {
        (Origin::Hub(reference), Some(source)) => source.checkpoint.satisfies(reference),
        // A model that was put there by hand, called by its folder's name.
        (Origin::Hub(reference), None) => folder
            .file_name()
            .is_some_and(|name| name == &*reference.to_string()),
        (Origin::Folder(path), Some(source)) => Checkpoint::of_folder(path)
            .is_ok_and(|checkpoint| source.checkpoint.is_same_content_as(&checkpoint)),
        (Origin::Folder(_), None) => false,
    };
    // A checkpoint that lies in the repository is one of its models as it is.
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

/// What is wanted, as it is now.
struct Wanted {
    source: Source,
    place: Place,
}

/// Where its files are to be had.
enum Place {
    Hub(Box<Hub>, Found),
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
            let checkpoint = Checkpoint::Hub {
                name: reference.name.to_string(),
                revision: reference.revision.clone(),
                commit: found.commit().to_string(),
                endpoint: hub.endpoint().to_owned(),
            };
            (checkpoint, Place::Hub(Box::new(hub), found))
        }
        Origin::Folder(path) => {
            let checkpoint = Checkpoint::of_folder(path).map_err(unusable(path))?;
            (checkpoint, Place::Folder(path.clone()))
        }
    };
    let source = Source {
        checkpoint,
        precision: request.export.precision.to_string(),
        task: request.export.task,
    };
    Ok(Wanted { source, place })
}

/// The model folder that is asked for.
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

/// The model that stands where this one should, if it is the same. An older one, or one that is exported otherwise, may be
/// replaced.
fn standing(
    request: &PullRequest,
    folder: &Path,
    wanted: &Source,
) -> Result<Option<Pulled>, PullError> {
    if request.force || !folder.exists() {
        return Ok(None);
    }
    let source = Source::read(folder);
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

/// Exports next to the target, out of everybody's sight, and then puts the folder in its place.
fn make(
    request: &PullRequest,
    checkpoint: PathBuf,
    target: &Path,
    source: &Source,
) -> Result<ExportReport, PullError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    remove_leftovers(&request.models, &prefix).map_err(unusable(&request.models))?;
    tracing::info!(origin = %request.origin, folder = %target.display(), "exporting");
    let workshop = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(&request.models)
        .map_err(unusable(&request.models))?;
    // A folder of its own: the one around it is for this process's eyes alone, and the model's is not.
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

/// Moves a folder to its place. What stood there is moved away, at the same instant where the system can do that.
fn put_in_place(made: &Path, target: &Path, replaced: &Path) -> io::Result<()> {
    if !target.exists() {
        return std::fs::rename(made, target);
    }
    if exchange(made, target).is_ok() {
        return Ok(());
    }
    std::fs::rename(target, replaced)?;
    std::fs::rename(made, target).inspect_err(|_| {
        // As it was; where even that fails, the first error tells more.
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

/// What processes that were killed left of earlier attempts; the lock says that no other is at it.
fn remove_leftovers(models: &Path, prefix: &str) -> io::Result<()> {
    for entry in std::fs::read_dir(models)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// One process at a time changes a repository.
fn lock(models: &Path) -> Result<File, PullError> {
    let path = models.join(LOCK_FILE);
    let file = File::create(&path).map_err(unusable(&path))?;
    match file.lock() {
        // A file system without locks has no second process on it, or has to take care of itself.
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
