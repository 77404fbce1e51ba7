//! One model of the list: its versions and their states. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{LoadedModel, ModelState};
use super::status::{ModelStatus, VersionState};
use crate::model_folder::{FoundModel, Version};
use crate::task::Task;

/// A model that was found.
#[derive(Debug)]
pub struct Entry {
    /// Its other names, by electra.toml.
    pub aliases: Vec<String>,
    /// The name that it was pulled by from the hub, if it was.
    pub hub_name: Option<String>,
    /// Whether it answers its task's route by default, where electra.toml says.
    pub route: Option<bool>,
    /// Whether the server is not ready without it.
    pub required: bool,
    /// Its versions.
    pub versions: BTreeMap<Version, VersionEntry>,
}

/// One version of a model.
#[derive(Debug)]
pub struct VersionEntry {
    /// What its files say before it is loaded; None where only the graph or nothing says it.
    declared_task: Option<Task>,
    /// What answers.
    model: Option<Arc<LoadedModel>>,
    /// What becomes of the files as they are now.
    files: Files,
}

/// What becomes of a version's files.
#[derive(Debug)]
enum Files {
    /// They are loaded, or to be loaded.
    Wanted,
    /// They could not be loaded.
    Refused(String),
    /// They are not wanted: unloaded by an operator, or passed over by electra.toml's `versions`.
    Unwanted,
}

impl Entry {
    /// A model without versions yet.
    pub fn new(required: bool) -> Self {
        Self {
            aliases: Vec::new(),
            hub_name: None,
            route: None,
            required,
            versions: BTreeMap::new(),
        }
    }

    /// Takes over what was found: settings where they can be read, and versions that are new.
    pub fn update(&mut self, found: &FoundModel) {
        if let Ok(settings) = &found.settings {
            self.aliases.clone_from(&settings.aliases);
            self.route = settings.route;
        }
        self.hub_name.clone_from(&found.hub_name);
        for folder in &found.versions {
            let wanted = found.takes(folder.version);
            self.versions
                .entry(folder.version)
                .or_insert_with(|| VersionEntry::new(wanted));
        }
    }

    /// The version that serves: the highest that is loaded; where none is, the highest that is wanted, or the highest.
    fn serving(&self) -> Option<&VersionEntry> {
        let descending = || self.versions.values().rev();
        descending()
            .find(|version| version.model.is_some())
            .or_else(|| descending().find(|version| !matches!(version.files, Files::Unwanted)))
            .or_else(|| descending().next())
    }

    fn version(&self, asked: Option<Version>) -> Option<&VersionEntry> {
        match asked {
            Some(version) => self.versions.get(&version),
            None => self.serving(),
        }
    }

    /// The state of a version, or of the one that serves.
    pub fn state(&self, asked: Option<Version>) -> Option<ModelState> {
        self.version(asked).map(VersionEntry::state)
    }

    /// What a version does, or the one that serves, where it is known yet.
    pub fn task(&self, asked: Option<Version>) -> Option<Task> {
        let version = self.version(asked)?;
        match &version.model {
            Some(model) => Some(model.info.task),
            None => version.declared_task,
        }
    }

    /// All that can be told.
    pub fn status(&self, name: &Arc<str>) -> ModelStatus {
        let described = |(&number, version): (&Version, &VersionEntry)| {
            let problem = match &version.files {
                Files::Refused(reason) => Some(reason.clone()),
                Files::Wanted | Files::Unwanted => None,
            };
            let state = version.state();
            (number, VersionState { state, problem })
        };
        ModelStatus {
            name: Arc::clone(name),
            aliases: self.aliases.iter().chain(&self.hub_name).cloned().collect(),
            task: self.task(None),
            // A model has a version as long as it is listed.
            state: self.state(None).unwrap_or(ModelState::Unloaded),
            required: self.required,
            versions: self.versions.iter().map(described).collect(),
        }
    }
}

impl VersionEntry {
    fn new(wanted: bool) -> Self {
        Self {
            declared_task: None,
            model: None,
            files: if wanted {
                Files::Wanted
            } else {
                Files::Unwanted
            },
        }
    }

    /// Its files name this task.
    pub fn declare(&mut self, task: Option<Task>) {
        self.declared_task = task;
    }

    /// It is loading, or again.
    pub fn begin(&mut self) {
        self.files = Files::Wanted;
    }

    /// It is loaded; what was there before is returned.
    pub fn loaded(&mut self, model: Arc<LoadedModel>) -> Option<Arc<LoadedModel>> {
        self.files = Files::Wanted;
        self.model.replace(model)
    }

    /// It could not be loaded.
    pub fn failed(&mut self, reason: String) {
        self.files = Files::Refused(reason);
    }

    /// It is out of service; what was loaded is returned.
    pub fn unload(&mut self) -> Option<Arc<LoadedModel>> {
        self.files = Files::Unwanted;
        self.model.take()
    }

    /// What was loaded.
    pub fn into_model(self) -> Option<Arc<LoadedModel>> {
        self.model
    }

    fn state(&self) -> ModelState {
        match (&self.model, &self.files) {
            (Some(model), _) => ModelState::Ready(Arc::clone(model)),
            (None, Files::Wanted) => ModelState::Loading,
            (None, Files::Refused(reason)) => ModelState::Failed {
                reason: reason.clone(),
            },
            (None, Files::Unwanted) => ModelState::Unloaded,
        }
    }
}

impl FoundModel {
    /// Whether a version is loaded, by electra.toml; where that can't be read, every one is.
    #[must_use]
    pub fn takes(&self, version: Version) -> bool {
        let highest = self.versions.last().map(|folder| folder.version);
        self.settings.as_ref().map_or(true, |settings| {
            settings.versions.takes(version, highest.unwrap_or(version))
        })
    }
}
