//! Changes which models are loaded: all at the start, single ones on request, and those whose files changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;

use super::load_error::LoadError;
use super::loader::Loader;
use super::watch::{Change, Snapshot, changes};
use crate::engine::Device;
use crate::model_folder::{FoundModel, ModelFolder, ScanError, Version, scan};
use crate::registry::{DefaultModel, LoadedModel, ModelInfo, ModelState, Registry};
use crate::task::Task;
use crate::telemetry::metrics::{Metrics, ModelDescription};

/// Loads and unloads the models of one repository, one at a time, on its caller's thread.
pub struct Manager {
    path: PathBuf,
    registry: Arc<Registry>,
    loader: Loader,
    metrics: Metrics,
    /// The routes of each task, as named in metrics.
    routes: Vec<(Task, String)>,
    /// The files of each version at the last attempt to load it, successful or not.
    tried: Snapshot,
    /// The repository at the last poll.
    before: Snapshot,
    /// Models that an operator unloaded. They stay unloaded until an operator loads them.
    unloaded: BTreeSet<String>,
    /// The description of each model in metrics.
    described: BTreeMap<String, ModelDescription>,
    /// Whether the last poll failed. Avoids repeating the warning.
    is_unreadable: bool,
    /// Models out of service that still have requests to answer.
    leaving: Vec<Arc<LoadedModel>>,
}

/// Why a model was not loaded again.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// There is no such model.
    #[error("there is no such model")]
    NotFound,
    /// The model repository can't be read.
    #[error(transparent)]
    Repository(#[from] ScanError),
    /// Its highest version can't be loaded, for the reason that the registry shows.
    #[error("{0}")]
    Model(String),
}

/// The device that the configuration names does not work. There is no silent fallback.
#[derive(Debug, Error)]
#[error("{source}")]
pub struct DeviceFailure {
    pub device: Device,
    pub source: LoadError,
}

/// The result of [`Manager::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// At least one model's memory was freed.
    pub freed_any: bool,
    /// At least one model still has requests to answer.
    pub some_in_use: bool,
}

impl Manager {
    /// A manager for a repository whose models are listed in `registry`. Each model's `metrics` show the `routes` of
    /// its task from the start.
    #[must_use]
    pub fn new(
        path: PathBuf,
        registry: Arc<Registry>,
        loader: Loader,
        metrics: Metrics,
        routes: Vec<(Task, String)>,
    ) -> Self {
        Self {
            path,
            registry,
            loader,
            metrics,
            routes,
            tried: Snapshot::new(),
            before: Snapshot::new(),
            unloaded: BTreeSet::new(),
            described: BTreeMap::new(),
            is_unreadable: false,
            leaving: Vec::new(),
        }
    }

    /// Loads the models for which `wanted` returns true. One that fails does not stop the others.
    ///
    /// # Errors
    /// Only if the device that the configuration names does not work.
    pub fn load_all(&mut self, mut wanted: impl FnMut(&str) -> bool) -> Result<(), DeviceFailure> {
        for model in self.take_snapshot().unwrap_or_default() {
            // The highest version first, because it is the one that serves.
            for folder in model.versions.iter().rev() {
                if model.selects(folder.version) && wanted(&model.name) {
                    self.load_version(folder)?;
                }
            }
        }
        for task in Task::ALL {
            if let DefaultModel::Known(model) = self.registry.default_model(task) {
                tracing::info!(%task, %model, "default model");
            }
        }
        Ok(())
    }

    /// Marks the initial load as done: each model has been loaded or has failed.
    pub fn settle(&self) {
        self.registry.mark_settled();
    }

    /// Loads a model's versions that are not loaded or whose files have changed since.
    ///
    /// # Errors
    /// If there is no such model, the folder can't be read, or the model's highest version can't be loaded.
    pub fn load(&mut self, name: &str) -> Result<(), ReloadError> {
        let found = self.take_snapshot()?;
        let name = self.registry.find(name).ok_or(ReloadError::NotFound)?;
        let model = found
            .iter()
            .find(|model| *model.name == *name)
            .ok_or(ReloadError::NotFound)?;
        self.unloaded.remove(&*name);
        for folder in model.versions.iter().rev() {
            let key = (model.name.clone(), folder.version);
            let address = format!("{name}@{}", folder.version);
            let state = self.registry.state(&address);
            let ready = state.is_some_and(|state| state.model().is_some());
            let changed = self.tried.get(&key) != self.before.get(&key);
            if model.selects(folder.version) && (changed || !ready) {
                // A device failure is reported like any other reason, in the registry.
                let _ = self.load_version(folder);
            }
        }
        let problem = self.registry.status(&name).and_then(|status| {
            let (_, highest) = status.versions.into_iter().next_back()?;
            highest.problem
        });
        problem.map_or(Ok(()), |problem| Err(ReloadError::Model(problem)))
    }

    /// Takes all versions of a model out of service. Its memory is freed once the last accepted request is answered.
    /// Returns whether there is such a model.
    pub fn unload(&mut self, name: &str) -> bool {
        let Some(status) = self.registry.status(name) else {
            return false;
        };
        self.unloaded.insert(status.name.to_string());
        for (version, _) in status.versions {
            self.unload_version(&status.name, version);
        }
        tracing::info!(model = %status.name, "model unloaded");
        true
    }

    /// Polls the repository's folder, and loads and unloads versions that changed.
    pub fn follow(&mut self) {
        let last = self.before.clone();
        let found = match self.take_snapshot() {
            Ok(found) => found,
            Err(reason) => {
                // If the folder can't be read, no model is unloaded.
                if !self.is_unreadable {
                    tracing::warn!(%reason, "the model repository can't be read");
                }
                self.is_unreadable = true;
                return;
            }
        };
        self.is_unreadable = false;
        let folders: BTreeMap<_, _> = found
            .iter()
            .flat_map(|model| &model.versions)
            .map(|folder| ((folder.name.clone(), folder.version), folder))
            .collect();
        let wanted = |snapshot: &Snapshot| -> Snapshot {
            let is_wanted = |(name, version): &(String, Version)| {
                let model = found.iter().find(|model| model.name == *name);
                // A model that is temporarily invisible still counts as wanted.
                model.is_none_or(|model| model.selects(*version)) && !self.unloaded.contains(name)
            };
            let taken = snapshot.iter().filter(|(key, _)| is_wanted(key));
            taken
                .map(|(key, files)| (key.clone(), files.clone()))
                .collect()
        };
        for change in changes(&self.tried, &wanted(&last), &wanted(&self.before)) {
            match change {
                Change::Load(name, version) => {
                    if let Some(folder) = folders.get(&(name, version)) {
                        // The failure is in the log, in GET /models and in the metrics. The server goes on.
                        let _ = self.load_version(folder);
                    }
                }
                Change::Remove(name, version) => {
                    // A version that electra.toml no longer selects is unloaded only once a higher one is loaded.
                    let is_there = folders.contains_key(&(name.clone(), version));
                    if !is_there || self.has_higher(&name, version) {
                        self.unload_version(&name, version);
                        tracing::info!(model = name, %version, "version unloaded");
                    }
                }
            }
        }
        for status in self.registry.statuses() {
            for (version, _) in status.versions {
                let key = (status.name.to_string(), version);
                if !folders.contains_key(&key) && !last.contains_key(&key) {
                    self.leaving.extend(self.registry.remove(&key.0, version));
                    self.update_metrics(&key.0);
                    // A later model with this name is a different one, so it is loaded.
                    if self.registry.find(&key.0).is_none() {
                        self.unloaded.remove(&key.0);
                    }
                }
            }
        }
    }

    /// Frees models that have answered their last accepted request.
    ///
    /// Models are dropped on this thread because it allocated them: mimalloc defers frees from other threads to the
    /// owning thread.
    pub fn release(&mut self) -> Released {
        let before = self.leaving.len();
        // The registry has released these models, so nobody can get a new reference to them.
        self.leaving.retain(|model| Arc::strong_count(model) > 1);
        Released {
            freed_any: self.leaving.len() < before,
            some_in_use: !self.leaving.is_empty(),
        }
    }

    /// Lists the repository's models, and keeps a snapshot of their files.
    fn take_snapshot(&mut self) -> Result<Vec<FoundModel>, ScanError> {
        let found = match scan(&self.path) {
            Ok(found) => found,
            // An operator may remove the last model on purpose.
            Err(ScanError::Empty { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        for model in &found {
            self.registry.add(model, false);
        }
        self.before = found
            .iter()
            .flat_map(|model| &model.versions)
            .map(|folder| ((folder.name.clone(), folder.version), folder.fingerprint()))
            .collect();
        Ok(found)
    }

    /// Loads one version and puts it into service.
    fn load_version(&mut self, folder: &ModelFolder) -> Result<(), DeviceFailure> {
        let started = Instant::now();
        let (model, version) = (folder.name.as_str(), folder.version);
        let key = (folder.name.clone(), version);
        self.tried.insert(key, folder.fingerprint());
        self.registry.mark_loading(folder);
        let state = self.registry.state(model);
        let serving = state.as_ref().and_then(ModelState::model);
        let outcome = self.loader.load(folder, serving.map(AsRef::as_ref));
        // Drops the reference to the serving version, so that its memory can be freed once it is replaced.
        drop(state);
        let milliseconds = started.elapsed().as_millis();
        let result = match outcome {
            Ok(loaded) => {
                let info = &loaded.info;
                let (task, device, precision) = (info.task, info.device, info.precision);
                tracing::info!(model, %version, %task, %device, %precision, milliseconds, "model ready");
                for (_, route) in self.routes.iter().filter(|(of, _)| *of == task) {
                    self.metrics.declare_route(route, model);
                }
                let replaced = self.registry.mark_loaded(folder, Arc::new(loaded));
                self.leaving.extend(replaced);
                Ok(())
            }
            Err(source) => {
                tracing::error!(model, %version, error = %source, "model failed to load");
                self.registry.mark_failed(folder, source.to_string());
                let device = self.loader.device;
                if source.is_device() && device != Device::Auto {
                    Err(DeviceFailure { device, source })
                } else {
                    Ok(())
                }
            }
        };
        self.update_metrics(&folder.name);
        result
    }

    fn unload_version(&mut self, name: &str, version: Version) {
        self.tried.remove(&(name.to_owned(), version));
        self.leaving
            .extend(self.registry.mark_unloaded(name, version));
        self.metrics.forget_load(name, version);
        self.update_metrics(name);
    }

    /// Whether a higher version of the model is loaded.
    fn has_higher(&self, name: &str, version: Version) -> bool {
        let status = self.registry.status(name);
        status.is_some_and(|status| {
            let mut versions = status.versions.iter();
            versions.any(|(other, found)| *other > version && found.state.model().is_some())
        })
    }

    /// Updates the metrics of a model.
    fn update_metrics(&mut self, name: &str) {
        let status = self.registry.status(name);
        for (version, state) in status.iter().flat_map(|status| &status.versions) {
            if !matches!(state.state, ModelState::Unloaded) {
                self.metrics
                    .load_failed(name, *version, state.problem.is_some());
            }
        }
        let description = status.and_then(|status| match &status.state {
            ModelState::Ready(model) => Some((described(&model.info), true)),
            ModelState::Failed { .. } => Some((undescribed(name, status.task), false)),
            ModelState::Loading | ModelState::Unloaded => None,
        });
        let ready = description.as_ref().is_some_and(|(_, ready)| *ready);
        let description = description.map(|(description, _)| description);
        if let Some(before) = self.described.remove(name)
            && Some(&before) != description.as_ref()
        {
            self.metrics.forget_model(&before);
        }
        if let Some(description) = description {
            self.metrics.model_ready(&description, ready);
            self.described.insert(name.to_owned(), description);
        }
    }
}

fn described(model: &ModelInfo) -> ModelDescription {
    ModelDescription {
        model: model.name.clone(),
        task: model.task.to_string(),
        precision: model.precision.to_string(),
        device: model.device.to_string(),
    }
}

/// The description of a model that could not be loaded, as far as its files tell.
fn undescribed(name: &str, task: Option<Task>) -> ModelDescription {
    ModelDescription {
        model: name.to_owned(),
        task: task.map(|task| task.to_string()).unwrap_or_default(),
        precision: String::new(),
        device: String::new(),
    }
}
