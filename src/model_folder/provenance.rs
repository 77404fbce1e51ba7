//! source.json: records which checkpoint a model folder was made from. It prevents repeating an export, and overwriting
//! a model of another origin.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::hub::ModelReference;
use crate::task::Task;

pub const SOURCE_FILE: &str = "source.json";

/// The checkpoint and the options that a model folder was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    #[serde(flatten)]
    pub checkpoint: CheckpointOrigin,
    /// The precision as requested.
    pub precision: String,
    /// The head as requested, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<Task>,
}

/// A checkpoint at the time of the export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CheckpointOrigin {
    Hub {
        /// `ORG/NAME` or `NAME`.
        name: String,
        /// The requested branch, tag or commit.
        revision: String,
        /// The commit that the revision pointed to.
        commit: String,
        /// The hub's base address.
        endpoint: String,
    },
    Folder {
        /// The absolute path.
        folder: PathBuf,
        /// The total size of its files.
        bytes: u64,
        /// The latest modification time of its files, in milliseconds since 1970.
        modified_ms: u64,
    },
}

impl CheckpointOrigin {
    /// Describes a folder as it is now.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn of_folder(path: &Path) -> io::Result<Self> {
        let folder = path.canonicalize()?;
        let (mut bytes, mut modified_ms) = (0_u64, 0);
        for entry in std::fs::read_dir(&folder)? {
            // Follows links, such as those in the hub's cache.
            let Ok(file) = std::fs::metadata(entry?.path()) else {
                continue;
            };
            if file.is_file() {
                let modified = file
                    .modified()?
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                bytes = bytes.saturating_add(file.len());
                modified_ms =
                    modified_ms.max(u64::try_from(modified.as_millis()).unwrap_or(u64::MAX));
            }
        }
        Ok(Self::Folder {
            folder,
            bytes,
            modified_ms,
        })
    }

    /// The model's name on the hub, if it came from there.
    #[must_use]
    pub fn into_hub_name(self) -> Option<String> {
        match self {
            Self::Hub { name, .. } => Some(name),
            Self::Folder { .. } => None,
        }
    }

    /// Whether the reference points to this checkpoint, as far as can be told without contacting the hub.
    #[must_use]
    pub fn satisfies(&self, reference: &ModelReference) -> bool {
        match self {
            Self::Hub {
                name,
                revision,
                commit,
                ..
            } => {
                let wanted = &reference.revision;
                name == reference.name.as_str()
                    && (wanted == revision || wanted.eq_ignore_ascii_case(commit))
            }
            Self::Folder { .. } => false,
        }
    }

    /// Whether both are the same repository or folder, possibly at different times.
    #[must_use]
    pub fn is_another_time_of(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Hub { name, endpoint, .. },
                Self::Hub {
                    name: other_name,
                    endpoint: other_endpoint,
                    ..
                },
            ) => name == other_name && endpoint == other_endpoint,
            (Self::Folder { folder, .. }, Self::Folder { folder: other, .. }) => folder == other,
            _ => false,
        }
    }

    /// Whether both have the same content, even if the revisions have different names.
    #[must_use]
    pub fn is_same_content_as(&self, other: &Self) -> bool {
        let same_commit = match (self, other) {
            (Self::Hub { commit, .. }, Self::Hub { commit: other, .. }) => commit == other,
            _ => self == other,
        };
        same_commit && self.is_another_time_of(other)
    }
}

/// As clients are told. Where a folder is on the server is nobody's business.
impl fmt::Display for CheckpointOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub {
                name,
                commit,
                endpoint,
                ..
            } => write!(formatter, "{name} of {endpoint} at commit {commit}"),
            Self::Folder { folder, .. } => {
                let name = folder.file_name().unwrap_or_default();
                write!(formatter, "the folder {}", name.display())
            }
        }
    }
}

impl Provenance {
    /// Reads source.json from a model folder. `None` if it is missing or unreadable.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        let note = files::read(&folder.join(SOURCE_FILE), files::most::NOTE);
        serde_json::from_slice(&note.ok()?).ok()
    }

    /// Writes source.json into a model folder.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(folder.join(SOURCE_FILE), text + "\n")
    }

    /// Whether the same checkpoint was exported with the same options.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.checkpoint.is_same_content_as(&other.checkpoint)
            && (&self.precision, self.task) == (&other.precision, other.task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(revision: &str, commit: char) -> Provenance {
        Provenance {
            checkpoint: CheckpointOrigin::Hub {
                name: "org/name".to_owned(),
                revision: revision.to_owned(),
                commit: commit.to_string().repeat(40),
                endpoint: "https://hub".to_owned(),
            },
            precision: "int8".to_owned(),
            task: None,
        }
    }

    #[test]
    fn a_note_reads_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Provenance::read(folder.path()), None);
        let mut of_folder = hub("main", 'a');
        of_folder.checkpoint = CheckpointOrigin::of_folder(folder.path()).unwrap();
        of_folder.task = Some(Task::Qa);
        for source in [hub("main", 'a'), of_folder] {
            source.write(folder.path()).unwrap();
            assert_eq!(Provenance::read(folder.path()), Some(source));
        }
    }

    #[test]
    fn the_same_commit_is_the_same_by_any_name() {
        assert!(hub("main", 'a').is_same_as(&hub("v1", 'a')));
        assert!(!hub("main", 'a').is_same_as(&hub("main", 'b')));
        let other = |change: &dyn Fn(&mut Provenance)| {
            let mut other = hub("main", 'a');
            change(&mut other);
            !other.is_same_as(&hub("main", 'a'))
        };
        assert!(other(&|source| source.precision = "fp32".to_owned()));
        assert!(other(&|source| source.task = Some(Task::Tag)));
        assert!(
            hub("main", 'a')
                .checkpoint
                .is_another_time_of(&hub("v1", 'b').checkpoint)
        );
    }

    #[test]
    fn a_reference_is_satisfied_by_its_revision_or_its_commit() {
        let satisfies = |text: &str| {
            hub("main", 'a')
                .checkpoint
                .satisfies(&text.parse().unwrap())
        };
        assert!(satisfies("org/name") && satisfies(&format!("org/name@{}", "A".repeat(40))));
        assert!(!satisfies("org/name@v1") && !satisfies("other/name") && !satisfies("name"));
    }

    #[test]
    fn a_folder_whose_files_change_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let of = || CheckpointOrigin::of_folder(folder.path()).unwrap();
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        let before = of();
        assert!(before.is_same_content_as(&of()));
        std::fs::write(folder.path().join("config.json"), "{ }").unwrap();
        assert!(!before.is_same_content_as(&of()) && before.is_another_time_of(&of()));
    }
}
