//! The cache on disk, in the layout of Python's `huggingface_hub`, so that each reuses the other's downloads:
//!
//! ```text
//! models--ORG--NAME/refs/REVISION              the commit that a branch or tag was at
//! models--ORG--NAME/snapshots/COMMIT/FILE      a link to a blob
//! models--ORG--NAME/blobs/ETAG                 a file's content, named by its checksum
//! models--ORG--NAME/blobs/ETAG.incomplete      the part downloaded so far
//! .locks/models--ORG--NAME/ETAG.lock           held during the download
//! ```
//!
//! The crate `hf-hub` provides folder names, snapshot paths and the writing of refs. It has no locks and no incomplete
//! files, and gives its path of blobs only along with its transfers.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};

use super::HubError;
use super::name::{Commit, ModelName, ModelReference};

/// One model's folders in the cache.
#[derive(Clone, Debug)]
pub struct ModelCache {
    cache: Cache,
    model: Repo,
}

impl ModelCache {
    /// Creates no folders yet.
    #[must_use]
    pub fn new(cache: &Path, name: &ModelName) -> Self {
        Self {
            cache: Cache::new(cache.to_owned()),
            model: Repo::model(name.to_string()),
        }
    }

    /// The commit of a revision, if the cache knows it.
    #[must_use]
    pub fn commit(&self, reference: &ModelReference) -> Option<Commit> {
        // `CacheRepo::get` looks up one file, not the commit, and turns the ref's content into a path without checking
        // it.
        Commit::parse(&reference.revision).or_else(|| {
            let path = self.reference(&reference.revision);
            Commit::parse(std::fs::read_to_string(path).ok()?.trim())
        })
    }

    /// Records the commit that a branch or tag points to.
    ///
    /// # Errors
    /// If the ref can't be written.
    pub fn remember(&self, reference: &ModelReference, commit: &Commit) -> Result<(), HubError> {
        if self.commit(reference).as_ref() == Some(commit) {
            return Ok(());
        }
        let ModelReference { name, revision } = reference;
        let repo = Repo::with_revision(name.to_string(), RepoType::Model, revision.clone());
        let written = self.cache.repo(repo).create_ref(commit.as_str());
        written.map_err(HubError::cache(&self.reference(revision)))
    }

    /// The folder that lists a commit's files under their names.
    #[must_use]
    pub fn snapshot(&self, commit: &Commit) -> PathBuf {
        self.cache
            .repo(self.model.clone())
            .pointer_path(commit.as_str())
    }

    /// Whether a commit's file is cached and complete.
    #[must_use]
    pub fn has(&self, commit: &Commit, file: &str) -> bool {
        // Not `CacheRepo::get`: it looks up the ref, which is written only once all files are here.
        self.snapshot(commit).join(file).is_file()
    }

    /// The names of a commit's cached files.
    #[must_use]
    pub fn files(&self, commit: &Commit) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.snapshot(commit)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| self.has(commit, name))
            .collect();
        names.sort();
        names
    }

    /// The path of the content, whether or not it is cached.
    #[must_use]
    pub fn blob(&self, etag: &ETag) -> PathBuf {
        self.folder().join("blobs").join(&etag.0)
    }

    /// The path of the incomplete download. Creates its folder.
    ///
    /// # Errors
    /// If the folder can't be created.
    pub fn incomplete(&self, etag: &ETag) -> Result<PathBuf, HubError> {
        let path = self
            .folder()
            .join("blobs")
            .join(format!("{}.incomplete", etag.0));
        make_parent(&path)?;
        Ok(path)
    }

    /// Waits for the exclusive lock on this blob. Dropping the file releases it.
    ///
    /// # Errors
    /// If the lock file can't be created or locked.
    pub fn lock(&self, etag: &ETag) -> Result<File, HubError> {
        let locks = self.cache.path().join(".locks");
        let path = locks
            .join(self.model.folder_name())
            .join(format!("{}.lock", etag.0));
        make_parent(&path)?;
        let file = File::create(&path).map_err(HubError::cache(&path))?;
        let taken = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                tracing::info!(lock = %path.display(), "another process downloads this file; waiting for it");
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        match taken {
            // Without locks, two processes may download the same file. It is verified in any case.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                Err(HubError::cache(&path)(error))
            }
            _ => Ok(file),
        }
    }

    /// Links a blob under its name in a commit's snapshot.
    ///
    /// # Errors
    /// If the link can't be created.
    pub fn link(&self, commit: &Commit, file: &str, etag: &ETag) -> Result<(), HubError> {
        if self.has(commit, file) {
            return Ok(());
        }
        let path = self.snapshot(commit).join(file);
        make_parent(&path)?;
        // A dangling link, whose blob was removed, must be removed first.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(HubError::cache(&path)(error));
            }
            _ => {}
        }
        // Relative, so that the cache can be moved.
        let relative = Path::new("../../blobs").join(&etag.0);
        symlink(&relative, &path)
            .or_else(|_| std::fs::copy(self.blob(etag), &path).map(drop))
            .map_err(HubError::cache(&path))
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join(self.model.folder_name())
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder().join("refs").join(revision)
    }
}

/// The hub's name for a file's content, checked to be safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// Parses an `ETag` header: strips quotes and the weak marker `W/`. `None` if the rest is not safe as a file name.
    #[must_use]
    pub fn of_header(value: &str) -> Option<Self> {
        let bare = value.trim().trim_start_matches("W/").trim_matches('"');
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name =
            (1..=128).contains(&bare.len()) && bare.bytes().all(safe) && !bare.starts_with('.');
        is_name.then(|| Self(bare.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn make_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent).map_err(HubError::cache(parent))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Links need a privilege on Windows, so the file is copied.
#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> Commit {
        Commit::parse(&digit.to_string().repeat(40)).unwrap()
    }

    #[test]
    fn the_layout_is_that_of_huggingface_hub() {
        let folder = tempfile::tempdir().unwrap();
        let reference: ModelReference = "org/name@refs/pr/1".parse().unwrap();
        let cache = ModelCache::new(folder.path(), &reference.name);
        let etag = ETag::of_header("W/\"abc123\"").unwrap();
        let commit = commit('a');
        let _lock = cache.lock(&etag).unwrap();
        std::fs::write(cache.incomplete(&etag).unwrap(), "part").unwrap();
        std::fs::write(cache.blob(&etag), "content").unwrap();
        cache.link(&commit, "config.json", &etag).unwrap();
        cache.remember(&reference, &commit).unwrap();
        let model = folder.path().join("models--org--name");
        let snapshot = model.join("snapshots").join(commit.as_str());
        assert_eq!(
            std::fs::read_to_string(snapshot.join("config.json")).unwrap(),
            "content"
        );
        assert_eq!(
            std::fs::read_to_string(model.join("refs/refs/pr/1")).unwrap(),
            commit.as_str()
        );
        assert!(model.join("blobs/abc123.incomplete").is_file());
        assert!(
            folder
                .path()
                .join(".locks/models--org--name/abc123.lock")
                .is_file()
        );
        #[cfg(unix)]
        assert_eq!(
            std::fs::read_link(snapshot.join("config.json")).unwrap(),
            Path::new("../../blobs/abc123")
        );
        assert_eq!(cache.commit(&reference), Some(commit.clone()));
        assert_eq!(cache.files(&commit), ["config.json"]);
    }

    #[test]
    fn a_link_to_a_removed_blob_is_no_file_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ModelCache::new(folder.path(), &"name".parse().unwrap());
        let (first, second) = (
            ETag::of_header("first").unwrap(),
            ETag::of_header("second").unwrap(),
        );
        cache.incomplete(&first).unwrap();
        std::fs::write(cache.blob(&first), "1").unwrap();
        cache.link(&commit('b'), "config.json", &first).unwrap();
        std::fs::remove_file(cache.blob(&first)).unwrap();
        if cfg!(unix) {
            assert!(
                !cache.has(&commit('b'), "config.json") && cache.files(&commit('b')).is_empty()
            );
        }
        std::fs::write(cache.blob(&second), "2").unwrap();
        cache.link(&commit('b'), "config.json", &second).unwrap();
        assert!(cache.has(&commit('b'), "config.json"));
    }

    #[test]
    fn an_etag_can_not_leave_its_folder() {
        for wrong in [
            "",
            "\"\"",
            "../x",
            "a/b",
            ".hidden",
            "a\\b",
            "a b",
            &"x".repeat(129),
        ] {
            assert_eq!(ETag::of_header(wrong), None, "{wrong}");
        }
    }
}
