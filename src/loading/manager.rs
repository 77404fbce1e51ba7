//! Changes which models are loaded: all at the start, single ones on request, and those whose files changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::attempts::{Attempts, Ended};
use super::load_error::LoadError;
use super::loader::{Load, Predecessor};
use super::shown::without_paths;
use super::watch::{Change, Snapshot, changes};
use crate::engine::Device;
use crate::model_folder::{Address, FoundModel, ModelFolder, ScanError, Version, scan};
use crate::panics::Panic;
use crate::registry::{ControlError, DefaultModel, LoadedModel, ModelInfo, ModelState, Registry};
use crate::task::Task;
use crate::telemetry::metrics::{Metrics, ModelDescription};

/// A load that takes longer than this is no longer waited for: others go on beside it.
const SLOW_AFTER: Duration = Duration::from_secs(10);
/// The most loads that others go on beside. Each may hold a model's memory. While there are so many, others wait.
const MOST_SLOW: usize = 4;

/// A version of a model, by the model's name.
type Key = (String, Version);

/// Loads and unloads the models of one repository, one after another. Each load has a thread of its own.
pub struct Manager {
    path: PathBuf,
    registry: Arc<Registry>,
    loader: Arc<dyn Load>,
    /// The loads in progress.
    attempts: Attempts<Key, Result<LoadedModel, LoadError>>,
    /// Their folders, and when they began.
    loading: BTreeMap<Key, (ModelFolder, Instant)>,
    /// Versions that are loaded once one of those loads has ended.
    queued: VecDeque<ModelFolder>,
    slow_after: Duration,
    metrics: Metrics,
    /// The routes of each task, as named in metrics.
    routes: Vec<(Task, String)>,
    /// The files of each version at the last attempt to load it, successful or not.
    tried: Snapshot,
    /// The repository at the last poll.
    before: Snapshot,
    /// The folders of the versions in it.
    folders: BTreeMap<Key, ModelFolder>,
    /// Versions in it whose folders are empty or can't be read, and how many polls in a row have found that.
    lost: BTreeMap<Key, u32>,
    /// Models that an operator unloaded. They stay unloaded until an operator loads them.
    unloaded: BTreeSet<String>,
    /// The description of each model in metrics.
    described: BTreeMap<String, ModelDescription>,
    /// How many polls in a row have found the repository empty or unreadable.
    lost_polls: u32,
    /// Models out of service that still have requests to answer.
    leaving: Vec<Arc<LoadedModel>>,
}

/// Why a model was not loaded again.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// There is no such model.
    #[error("there is no such model")]
    NotFound,
    /// Its folder may come back, as that of a volume that is not mounted.
    #[error("its folder is empty or can't be read; what is in memory of it still answers")]
    Lost,
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
    /// A manager for a repository whose models are listed in `registry`. A load fails after `timeout`. Each model's
    /// `metrics` show the `routes` of its task from the start.
    #[must_use]
    pub fn new(
        path: PathBuf,
        registry: Arc<Registry>,
        loader: Arc<dyn Load>,
        timeout: Duration,
        metrics: Metrics,
        routes: Vec<(Task, String)>,
    ) -> Self {
        Self {
            path,
            registry,
            loader,
            attempts: Attempts::new(timeout),
            loading: BTreeMap::new(),
            queued: VecDeque::new(),
            slow_after: SLOW_AFTER,
            metrics,
            routes,
            tried: Snapshot::new(),
            before: Snapshot::new(),
            folders: BTreeMap::new(),
            lost: BTreeMap::new(),
            unloaded: BTreeSet::new(),
            described: BTreeMap::new(),
            lost_polls: 0,
            leaving: Vec::new(),
        }
    }

    /// Loads the models for which `wanted` returns true. One that fails does not stop the others.
    ///
    /// # Errors
    /// Only if the device that the configuration names does not work.
    pub fn load_all(&mut self, wanted: impl FnMut(&str) -> bool) -> Result<(), DeviceFailure> {
        self.begin_all(wanted)?;
        while self.is_loading() {
            self.finish_oldest()?;
        }
        Ok(())
    }

    /// As [`Self::load_all`], but does not wait for slow loads, nor for those that wait for them: [`Self::finish`] does
    /// what is left.
    ///
    /// # Errors
    /// As for [`Self::load_all`].
    pub fn begin_all(&mut self, mut wanted: impl FnMut(&str) -> bool) -> Result<(), DeviceFailure> {
        for model in self.take_snapshot().unwrap_or_default() {
            // The highest version first, because it is the one that serves.
            for folder in model.versions.iter().rev() {
                if model.selects(folder.version) && wanted(&model.name) {
                    self.load_version(folder)?;
                }
            }
        }
        Ok(())
    }

    /// Marks the initial load as done: each model has been loaded or has failed.
    pub fn settle(&self) {
        for task in Task::ALL {
            if let DefaultModel::Known(model) = self.registry.default_model(task) {
                tracing::info!(%task, %model, "default model");
            }
        }
        self.registry.mark_settled();
    }

    /// Whether any load is in progress or waits for others.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        !self.loading.is_empty() || !self.queued.is_empty()
    }

    /// Whether a load of this model is in progress or waits for others.
    #[must_use]
    pub fn is_loading_model(&self, name: &str) -> bool {
        self.loading.keys().any(|(model, _)| model == name)
            || self.queued.iter().any(|folder| folder.name == name)
    }

    /// Puts models into service whose slow loads have ended since the last call, and begins one that waited for that.
    ///
    /// # Errors
    /// As for [`Self::load_all`].
    pub fn finish(&mut self) -> Result<(), DeviceFailure> {
        let ended = self.attempts.take_ended();
        let finished = ended
            .into_iter()
            .map(|(key, ended)| self.complete(&key, ended));
        // All of them, whatever the first ones say.
        let finished: Vec<_> = finished.collect();
        finished.into_iter().collect::<Result<(), _>>()?;
        self.begin_queued()
    }

    /// Begins to load a model's versions that are not loaded or whose files have changed since. Returns the model's
    /// name. If [`Self::is_loading_model`] says so, a load goes on; [`Self::outcome`] is what comes of it.
    ///
    /// # Errors
    /// If there is no such model or version, or the folder can't be read.
    pub fn load(&mut self, name: &str) -> Result<Arc<str>, ReloadError> {
        let found = self.take_snapshot()?;
        let asked = Address::from(name).version;
        let name = self.registry.find(name).ok_or(ReloadError::NotFound)?;
        let model = found
            .iter()
            .find(|model| *model.name == *name)
            .filter(|model| {
                let is_asked = |found: Version| asked.is_none_or(|version| version == found);
                let mut versions = model.versions.iter();
                versions.any(|folder| is_asked(folder.version))
            });
        let Some(model) = model else {
            let is_lost = self.lost.keys().any(|(model, _)| *model == *name);
            return Err(if is_lost {
                ReloadError::Lost
            } else {
                ReloadError::NotFound
            });
        };
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
        Ok(name)
    }

    /// Whether a model's highest version could be loaded.
    ///
    /// # Errors
    /// The reason why not.
    pub fn outcome(&self, name: &str) -> Result<(), ReloadError> {
        let Some(status) = self.registry.status(name) else {
            // Its folder was removed while it loaded.
            return Err(ReloadError::NotFound);
        };
        if matches!(status.state, ModelState::Unloaded) {
            let reason =
                "It was unloaded meanwhile, or its electra.toml selects none of its versions.";
            return Err(ReloadError::Model(reason.to_owned()));
        }
        let highest = status.versions.into_iter().next_back();
        let problem = highest.and_then(|(_, highest)| highest.problem);
        problem.map_or(Ok(()), |problem| Err(ReloadError::Model(problem)))
    }

    /// What who asked for a load is told of why it failed.
    #[must_use]
    pub fn shown(&self, error: &ReloadError) -> ControlError {
        match error {
            ReloadError::NotFound => ControlError::NotFound,
            error => ControlError::Failed(without_paths(&error.to_string(), &self.path)),
        }
    }

    /// Takes all versions of a model out of service. Its memory is freed once the last accepted request is answered.
    /// Returns whether there is such a model, and the version that the name may have.
    pub fn unload(&mut self, name: &str) -> bool {
        let Some(status) = self.registry.status(name) else {
            return false;
        };
        let asked = Address::from(name).version;
        let mut versions = status.versions.iter();
        if asked.is_some_and(|asked| versions.all(|(version, _)| *version != asked)) {
            return false;
        }
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
            Err(reason) => return self.lose(&reason),
        };
        // It may also be empty because the last model was unloaded.
        if self.lost_polls > 0 && !found.is_empty() {
            tracing::info!("the model repository can be read again");
        }
        self.lost_polls = 0;
        self.report_lost();
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
                    let is_there = self.before.contains_key(&(name.clone(), version));
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
                    self.unqueue(&key);
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

    /// Keeps all models in service, because the repository is empty or can't be read: its volume may have gone. Like a
    /// change, this counts once two polls have found it.
    fn lose(&mut self, reason: &ScanError) {
        self.lost_polls = self.lost_polls.saturating_add(1);
        if self.lost_polls == 1 {
            tracing::warn!(%reason, "the model repository is empty or can't be read: its models stay in service");
        }
        if self.lost_polls == 2 {
            let found = match reason {
                ScanError::Empty { .. } => "has no models any more".to_owned(),
                ScanError::Unreadable { source, .. } => format!("can't be read: {source}"),
            };
            let reason = format!("the models folder {found}; the models in memory still answer");
            self.registry.set_lost(Some(reason));
        }
    }

    /// Counts a poll for each version whose folder is empty or can't be read. The second reports it in the log and, if the
    /// model was there at the start, as the reason why the server is not ready.
    fn report_lost(&mut self) {
        for ((model, version), polls) in &mut self.lost {
            *polls = polls.saturating_add(1);
            if *polls == 2 {
                tracing::warn!(model, %version, "the model's folder is empty or can't be read: the model stays in service");
            }
        }
        let statuses = self.registry.statuses();
        let is_lost = |name: &str| {
            let mut lost = self.lost.iter();
            lost.any(|((model, _), polls)| model == name && *polls >= 2)
        };
        let names: Vec<String> = statuses
            .iter()
            .filter(|status| status.required && is_lost(&status.name))
            .map(|status| format!("`{}`", status.name))
            .collect();
        let reason = (!names.is_empty()).then(|| {
            format!(
                "the folder of {} is empty or can't be read; what is in memory still answers",
                names.join(", ")
            )
        });
        if self.registry.lost() != reason {
            self.registry.set_lost(reason);
        }
    }

    /// Frees models that have answered their last accepted request.
    ///
    /// Models are dropped on this thread, which then knows when there is memory to return to the system. The threads that
    /// allocated them have ended, so mimalloc defers no frees to them.
    pub fn release(&mut self) -> Released {
        let before = self.leaving.len();
        // The registry has released these models, so nobody can get a new reference to them.
        self.leaving.retain(|model| Arc::strong_count(model) > 1);
        Released {
            freed_any: self.leaving.len() < before,
            some_in_use: !self.leaving.is_empty(),
        }
    }

    /// Lists the repository's models, and keeps a snapshot of their files. A version whose folder is empty or can't be read
    /// stays in the snapshot as it was, unless it was unloaded.
    ///
    /// # Errors
    /// If the repository can't be read, or is empty while models serve.
    fn take_snapshot(&mut self) -> Result<Vec<FoundModel>, ScanError> {
        let found = match scan(&self.path) {
            Ok(found) => found,
            // The last model may be removed on purpose, once it is unloaded.
            Err(ScanError::Empty { .. }) if !self.registry.serves_any() => Vec::new(),
            Err(error) => return Err(error),
        };
        for model in &found {
            self.registry.add(model, false);
        }
        let key = |folder: &ModelFolder| (folder.name.clone(), folder.version);
        let mut folders: BTreeMap<Key, ModelFolder> = found
            .iter()
            .flat_map(|model| &model.versions)
            .map(|folder| (key(folder), folder.clone()))
            .collect();
        let mut now: Snapshot = folders
            .iter()
            .map(|(key, folder)| (key.clone(), folder.fingerprint()))
            .collect();
        let mut lost = BTreeMap::new();
        for (key, folder) in std::mem::take(&mut self.folders) {
            if folders.contains_key(&key) || !folder.is_lost() || self.is_unloaded(&key) {
                continue;
            }
            if let Some(files) = self.before.remove(&key) {
                now.insert(key.clone(), files);
                lost.insert(key.clone(), self.lost.remove(&key).unwrap_or(0));
                folders.insert(key, folder);
            }
        }
        for ((model, version), _) in self.lost.iter().filter(|(_, polls)| **polls >= 2) {
            if folders.contains_key(&(model.clone(), *version)) {
                tracing::info!(model, %version, "the model's folder can be read again");
            }
        }
        (self.before, self.folders, self.lost) = (now, folders, lost);
        Ok(found)
    }

    /// Loads one version and puts it into service. If that takes long, the load goes on when this returns, and
    /// [`Self::finish`] does the rest. If too many take long, it is queued.
    fn load_version(&mut self, folder: &ModelFolder) -> Result<(), DeviceFailure> {
        let key = (folder.name.clone(), folder.version);
        if self.attempts.is_running(&key) {
            // If the files have changed since it began, the next poll finds that.
            return Ok(());
        }
        self.unqueue(&key);
        if self.loading.len() >= MOST_SLOW {
            // Its files do not count as tried, so later polls name it again, as it is then.
            self.registry.mark_loading(folder);
            self.queued.push_back(folder.clone());
            return Ok(());
        }
        let state = self.registry.state(&folder.name);
        let serving = state.as_ref().and_then(ModelState::model);
        let predecessor = serving.map(|model| Predecessor::of(model));
        drop(state);
        let (loader, to_load) = (Arc::clone(&self.loader), folder.clone());
        let files = folder.fingerprint();
        let begun = self.attempts.begin(key.clone(), "electra-load", move || {
            loader.load(&to_load, predecessor.as_ref())
        });
        if let Err(refusal) = begun {
            // Its files do not count as tried, so that polls try them again.
            self.refuse(folder, &refusal.into());
            return Ok(());
        }
        self.tried.insert(key.clone(), files);
        self.registry.mark_loading(folder);
        self.loading
            .insert(key.clone(), (folder.clone(), Instant::now()));
        if let Some(ended) = self.attempts.wait(&key, self.slow_after) {
            return self.complete(&key, ended);
        }
        let seconds = self.slow_after.as_secs();
        tracing::warn!(model = %key.0, version = %key.1, seconds, "slow load, going on with others beside it");
        Ok(())
    }

    /// Loads the next queued version if there is room for it.
    fn begin_queued(&mut self) -> Result<(), DeviceFailure> {
        if self.loading.len() >= MOST_SLOW {
            return Ok(());
        }
        match self.queued.pop_front() {
            Some(folder) => self.load_version(&folder),
            None => Ok(()),
        }
    }

    fn unqueue(&mut self, (name, version): &Key) {
        self.queued
            .retain(|folder| folder.name != *name || folder.version != *version);
    }

    /// Waits for the load that has been in progress for longest, and begins one that waited for that.
    fn finish_oldest(&mut self) -> Result<(), DeviceFailure> {
        match self.attempts.oldest() {
            Some(key) => {
                if let Some(ended) = self.attempts.wait(&key, Duration::MAX) {
                    self.complete(&key, ended)?;
                }
            }
            None => self.loading.clear(),
        }
        self.begin_queued()
    }

    /// Records that no load was begun. Polls repeat this, so the log says it once.
    fn refuse(&mut self, folder: &ModelFolder, error: &LoadError) {
        let reason = without_paths(&error.to_string(), &self.path);
        let known = self.registry.status(&folder.name).is_some_and(|status| {
            let mut versions = status.versions.into_iter();
            versions.any(|(version, state)| {
                version == folder.version && state.problem.as_ref() == Some(&reason)
            })
        });
        if known {
            return;
        }
        tracing::error!(model = folder.name, version = %folder.version, %error, "model failed to load");
        self.registry.mark_failed(folder, reason);
        self.update_metrics(&folder.name);
    }

    /// Puts a version into service, or records why it can't be.
    fn complete(
        &mut self,
        key: &Key,
        ended: Ended<Result<LoadedModel, LoadError>>,
    ) -> Result<(), DeviceFailure> {
        let Some((folder, started)) = self.loading.remove(key) else {
            return Ok(());
        };
        let folder = &folder;
        let outcome = match ended {
            Ended::Finished(outcome) => outcome,
            Ended::Panicked(Panic { message, place }) => {
                Err(LoadError::Panicked { message, place })
            }
            Ended::TimedOut => Err(LoadError::TimedOut(self.attempts.timeout())),
        };
        let (model, version) = (folder.name.as_str(), folder.version);
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
                let reason = without_paths(&source.to_string(), &self.path);
                self.registry.mark_failed(folder, reason);
                let device = self.loader.device();
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
        let key = (name.to_owned(), version);
        self.tried.remove(&key);
        self.attempts.abandon(&key);
        self.loading.remove(&key);
        self.unqueue(&key);
        self.leaving
            .extend(self.registry.mark_unloaded(name, version));
        self.metrics.forget_load(name, version);
        self.update_metrics(name);
    }

    /// Whether a version is neither in service, nor loads, nor failed to load.
    fn is_unloaded(&self, (name, version): &Key) -> bool {
        let state = self.registry.state(&format!("{name}@{version}"));
        state.is_none_or(|state| matches!(state, ModelState::Unloaded))
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

#[cfg(test)]
mod tests;
