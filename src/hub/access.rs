//! Resolves revisions of models on the hub, or in its cache when offline, and fetches their checkpoints.

use std::path::PathBuf;

use super::cache::ModelCache;
use super::client::{Client, Listing, Pause};
use super::download::Download;
use super::error::HubError;
use super::name::{Commit, ModelReference};
use super::observer::Observer;
use super::selection::{self, Selection, SelectionError, select};
use super::settings::HubSettings;
use crate::export::adapter::{self, ADAPTER_CONFIG, AdapterError};
use crate::export::checkpoint::shards_of;

/// Access to the hub, or, when offline, to its cache only.
pub struct Hub {
    client: Client,
}

/// A revision that was resolved to a commit and its list of files.
#[derive(Clone, Debug)]
pub struct FoundRevision {
    reference: ModelReference,
    listing: Listing,
}

impl FoundRevision {
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.listing.commit
    }
}

impl Hub {
    /// Contacts no server yet.
    ///
    /// # Errors
    /// If the file of certificates that the environment names can't be read.
    pub fn new(settings: HubSettings) -> Result<Self, HubError> {
        Self::with_pause(settings, Box::new(std::thread::sleep))
    }

    /// As [`Self::new`], with `pause` in place of sleeping between attempts.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_pause(settings: HubSettings, pause: Pause) -> Result<Self, HubError> {
        Ok(Self {
            client: Client::new(settings, pause)?,
        })
    }

    /// The hub's base address.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.settings().endpoint
    }

    /// Resolves a revision to its commit and its list of files. When offline, the list holds only cached files.
    ///
    /// # Errors
    /// If the hub can't be reached, or has no such model that this token may see.
    pub fn find(&self, reference: &ModelReference) -> Result<FoundRevision, HubError> {
        let listing = if self.settings().offline {
            let cache = self.cache(reference);
            let commit = cache.commit(reference);
            let commit = commit.ok_or_else(|| {
                self.not_in_cache(reference, "nothing was ever fetched of it".to_owned())
            })?;
            Listing {
                files: cache.files(&commit),
                commit,
            }
        } else {
            self.client.listing(reference)?
        };
        Ok(FoundRevision {
            reference: reference.clone(),
            listing,
        })
    }

    /// Fetches the files that an export needs and that are not cached. Returns the checkpoint's folder. Blocks.
    ///
    /// # Errors
    /// If the repository lacks a file that a model needs, the hub or the network fails, a file does not match the hub's
    /// metadata, or the cache can't be written.
    pub fn fetch(
        &self,
        found: &FoundRevision,
        observer: &dyn Observer,
    ) -> Result<PathBuf, HubError> {
        let FoundRevision { reference, listing } = found;
        let cache = self.cache(reference);
        let download = |file: &str| {
            if cache.has(&listing.commit, file) {
                return Ok(());
            }
            let download = Download {
                client: &self.client,
                cache: &cache,
                reference,
                commit: &listing.commit,
                file,
                observer,
            };
            download.run()
        };
        let unfit = |reason| self.unfit(reference, reason);
        let folder = cache.snapshot(&listing.commit);
        if selection::is_adapter(&listing.files) {
            let file = ADAPTER_CONFIG.to_owned();
            if listing.files.contains(&file) {
                download(&file)?;
            }
            let json = std::fs::read(folder.join(file)).unwrap_or_default();
            return Err(unfit(SelectionError::Adapter(AdapterError::from_config(
                &json,
            ))));
        }
        let is_listed = |file: &str| listing.files.iter().any(|listed| listed == file);
        adapter::warn_of_unapplied(&reference.name, is_listed);
        let Selection { files, index } = select(&listing.files).map_err(unfit)?;
        for file in &files {
            download(file)?;
        }
        if let Some(index) = index {
            let named = shards_of(&folder.join(&index))
                .map_err(|error| unfit(SelectionError::Index(error.to_string())))?;
            for shard in selection::shards(&listing.files, &index, named).map_err(unfit)? {
                download(&shard)?;
            }
        }
        // Written last, so that a ref never points to a commit with missing files.
        cache.remember(reference, &listing.commit)?;
        Ok(folder)
    }

    fn unfit(&self, reference: &ModelReference, reason: SelectionError) -> HubError {
        // These errors follow from a file's content, so asking the hub would not change them.
        let is_known = matches!(
            reason,
            SelectionError::Adapter(_) | SelectionError::Index(_)
        );
        if self.settings().offline && !is_known {
            return self.not_in_cache(reference, reason.to_string());
        }
        HubError::Selection {
            name: reference.name.to_string(),
            reason,
        }
    }

    fn settings(&self) -> &HubSettings {
        self.client.settings()
    }

    fn cache(&self, reference: &ModelReference) -> ModelCache {
        ModelCache::new(&self.settings().cache, &reference.name)
    }

    fn not_in_cache(&self, reference: &ModelReference, missing: String) -> HubError {
        HubError::Offline {
            model: reference.to_string(),
            cache: self.settings().cache.clone(),
            missing,
        }
    }
}
