//! A model in the registry: its versions and their states. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{LoadedModel, ModelState};
use super::status::{ModelStatus, VersionState};
use crate::model_folder::{FoundModel, Version};
use crate::task::Task;

#[derive(Debug)]
pub struct ModelEntry {
    /// Other names, from electra.toml.
    pub aliases: Vec<String>,
    /// The hub name that it was pulled from, if any.
    pub hub_name: Option<String>,
    /// Whether it is the default of its task's route, if electra.toml says so or denies it.
    pub route: Option<bool>,
    /// Whether the server is ready only once this model is.
    pub required: bool,
    pub versions: BTreeMap<Version, VersionEntry>,
}

#[derive(Debug)]
pub struct VersionEntry {
    /// The task that its files name. `None` if only the graph tells, or nothing does.
    declared_task: Option<Task>,
    /// The loaded model, if any.
    model: Option<Arc<LoadedModel>>,
    /// The state of its files on disk, which may be newer than `model`.
    files: Files,
}

/// The state of a version's files.
#[derive(Debug)]
enum Files {
    /// Loaded, or to be loaded.
    Wanted,
    /// Could not be loaded, for this reason.
    Refused(String),
    /// Not to be loaded: an operator unloaded the model, or `versions` in electra.toml excludes this version.
    Unwanted,
}

impl ModelEntry {
    /// A model without versions.
    pub fn new(required: bool) -> Self {
        Self {
            aliases: Vec::new(),
            hub_name: None,
            route: None,
            required,
            versions: BTreeMap::new(),
        }
    }

    /// Takes over a scan's results: settings, if they can be read, and new versions.
    pub fn update(&mut self, found: &FoundModel) {
        if let Ok(settings) = &found.settings {
            self.aliases.clone_from(&settings.aliases);
            self.route = settings.route;
        }
        self.hub_name.clone_from(&found.hub_name);
        for folder in &found.versions {
            let wanted = found.selects(folder.version);
            self.versions
                .entry(folder.version)
                .or_insert_with(|| VersionEntry::new(wanted));
        }
    }

    /// The version that serves: the highest one loaded. If none is loaded, the highest one that is wanted, else the
    /// highest.
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

    /// The state of the given version, or of the one that serves.
    pub fn state(&self, asked: Option<Version>) -> Option<ModelState> {
        self.version(asked).map(VersionEntry::state)
    }

    /// The task of the given version or of the one that serves, once known.
    pub fn task(&self, asked: Option<Version>) -> Option<Task> {
        let version = self.version(asked)?;
        match &version.model {
            Some(model) => Some(model.info.task),
            None => version.declared_task,
        }
    }

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
            // A listed model always has a version.
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

    /// Records the task that the version's files name.
    pub fn declare(&mut self, task: Option<Task>) {
        self.declared_task = task;
    }

    /// Marks the version as loading or reloading.
    pub fn mark_loading(&mut self) {
        self.files = Files::Wanted;
    }

    /// Puts the loaded model in place, and returns the one it replaces.
    pub fn mark_loaded(&mut self, model: Arc<LoadedModel>) -> Option<Arc<LoadedModel>> {
        self.files = Files::Wanted;
        self.model.replace(model)
    }

    /// Records why the version could not be loaded.
    pub fn mark_failed(&mut self, reason: String) {
        self.files = Files::Refused(reason);
    }

    /// Takes the version out of service, and returns its model.
    pub fn unload(&mut self) -> Option<Arc<LoadedModel>> {
        self.files = Files::Unwanted;
        self.model.take()
    }

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
