//! The list of models that requests look up, and that the manager changes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch::{Receiver, Sender};

use super::entry::{ModelEntry, VersionEntry};
use super::model::{LoadedModel, ModelState};
use super::status::{DefaultModel, Lookup, ModelStatus};
use crate::model_folder::{Address, FoundModel, ModelFolder, Version};
use crate::task::Task;

/// All models of a model repository by name, each with the state of its versions. Requests read it, and the manager
/// changes it. Every method holds the lock briefly.
#[derive(Debug, Default)]
pub struct Registry {
    models: RwLock<BTreeMap<Arc<str>, ModelEntry>>,
    /// Whether the initial load is done: each model has been loaded or has failed.
    settled: AtomicBool,
    /// What happened to the repository or the folder of a model, if it is empty or can't be read. The models in memory
    /// still serve.
    lost: Mutex<Option<String>>,
    /// Notified after each change is visible.
    changed: Sender<()>,
}

impl Registry {
    /// A registry in which all models found are still to be loaded.
    #[must_use]
    pub fn new(found: &[FoundModel]) -> Self {
        let registry = Self::default();
        for model in found {
            registry.add(model, true);
            model
                .versions
                .iter()
                .for_each(|folder| registry.declare(folder));
        }
        registry
    }

    /// The names, in alphabetical order.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.read().keys().cloned().collect()
    }

    /// Resolves an address (a name or an alias, with or without a version) to a model's name.
    #[must_use]
    pub fn find(&self, address: &str) -> Option<Arc<str>> {
        let models = self.read();
        resolve(&models, Address::from(address)).map(|(name, _)| Arc::clone(name))
    }

    /// Looks up the model of a request for a task: by the name that the request gives, else the task's default.
    #[must_use]
    pub fn look_up(&self, task: Task, named: Option<&str>) -> Lookup {
        let models = self.read();
        let Some(address) = named else {
            return match default_model(&models, task) {
                DefaultModel::Known(name) => by_address(&models, &name),
                DefaultModel::Pending(name) => Lookup::DefaultPending(name),
                DefaultModel::None => Lookup::NoDefault(task),
            };
        };
        by_address(&models, address)
    }

    /// Looks up a model by its address, whatever its task.
    #[must_use]
    pub fn look_up_any(&self, address: &str) -> Lookup {
        by_address(&self.read(), address)
    }

    /// The state of the version that an address means; without a number, of the one that serves.
    #[must_use]
    pub fn state(&self, address: &str) -> Option<ModelState> {
        let models = self.read();
        let address = Address::from(address);
        let (_, entry) = resolve(&models, address)?;
        entry.state(address.version)
    }

    #[must_use]
    pub fn status(&self, address: &str) -> Option<ModelStatus> {
        let models = self.read();
        let (name, entry) = resolve(&models, Address::from(address))?;
        Some(entry.status(name))
    }

    /// All models, ordered by name.
    #[must_use]
    pub fn statuses(&self) -> Vec<ModelStatus> {
        let models = self.read();
        models
            .iter()
            .map(|(name, entry)| entry.status(name))
            .collect()
    }

    /// The model that a task's route uses if the request names none: the first of those that serve. If none serves, the
    /// first that loads or failed to load, else the first that is unloaded. Models that electra.toml gives the route are
    /// first, then the others, by name.
    #[must_use]
    pub fn default_model(&self, task: Task) -> DefaultModel {
        default_model(&self.read(), task)
    }

    /// Whether the initial load is done: each model has been loaded or has failed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Marks the initial load as done.
    pub fn mark_settled(&self) {
        self.settled.store(true, Ordering::Release);
        self.changed.send_replace(());
    }

    /// Records that the repository or a model's folder is empty or can't be read, with the reason, or that it is there
    /// again.
    pub fn set_lost(&self, reason: Option<String>) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        *lost = reason;
        drop(lost);
        self.changed.send_replace(());
    }

    /// Why the models in memory are not those of the repository, if it or a model's folder is empty or can't be read.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.clone()
    }

    /// Whether any model answers requests.
    #[must_use]
    pub fn serves_any(&self) -> bool {
        let models = self.read();
        let mut states = models.values().filter_map(|entry| entry.state(None));
        states.any(|state| state.model().is_some())
    }

    /// Notifies of each change from now on.
    #[must_use]
    pub fn changes(&self) -> Receiver<()> {
        self.changed.subscribe()
    }

    /// Lists a model that a scan found. New versions are to be loaded, and listed ones keep their state.
    pub fn add(&self, model: &FoundModel, required: bool) {
        self.alter(|models| {
            let entry = models
                .entry(model.name.as_str().into())
                .or_insert_with(|| ModelEntry::new(required));
            entry.update(model);
        });
    }

    /// Marks a version as loading or reloading.
    pub fn mark_loading(&self, folder: &ModelFolder) {
        self.declare(folder);
        self.change(folder, VersionEntry::mark_loading);
    }

    /// Records the task that a version's files name.
    fn declare(&self, folder: &ModelFolder) {
        // Reads files, so it comes before the lock.
        let task = folder.declared_task();
        self.change(folder, |version| version.declare(task));
    }

    /// Puts a loaded model in its version's place, and returns the one it replaces. Requests from now on get the new
    /// one. Earlier requests are still answered by the old one.
    pub fn mark_loaded(
        &self,
        folder: &ModelFolder,
        model: Arc<LoadedModel>,
    ) -> Option<Arc<LoadedModel>> {
        self.change(folder, |version| version.mark_loaded(model))
            .flatten()
    }

    /// Records why a version could not be loaded. A model loaded from earlier files stays in service.
    pub fn mark_failed(&self, folder: &ModelFolder, reason: String) {
        self.change(folder, |version| version.mark_failed(reason));
    }

    /// Removes a version whose folder is gone, and the model with its last version. Returns the version's model, if
    /// loaded.
    pub fn remove(&self, name: &str, version: Version) -> Option<Arc<LoadedModel>> {
        let removed = self.alter(|models| {
            let entry = models.get_mut(name);
            let removed = entry.and_then(|entry| entry.versions.remove(&version));
            if models
                .get(name)
                .is_some_and(|entry| entry.versions.is_empty())
            {
                models.remove(name);
            }
            removed
        });
        removed.and_then(VersionEntry::into_model)
    }

    /// Takes a version out of service but keeps it listed. Returns its model, if loaded.
    pub fn mark_unloaded(&self, name: &str, version: Version) -> Option<Arc<LoadedModel>> {
        self.alter(|models| {
            let entry = models.get_mut(name)?;
            entry.versions.get_mut(&version)?.unload()
        })
    }

    fn change<R>(
        &self,
        folder: &ModelFolder,
        change: impl FnOnce(&mut VersionEntry) -> R,
    ) -> Option<R> {
        self.alter(|models| {
            let entry = models.get_mut(folder.name.as_str())?;
            entry.versions.get_mut(&folder.version).map(change)
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Arc<str>, ModelEntry>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn alter<R>(&self, change: impl FnOnce(&mut BTreeMap<Arc<str>, ModelEntry>) -> R) -> R {
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut models);
        drop(models);
        self.changed.send_replace(());
        outcome
    }
}

/// See [`Registry::default_model`].
fn default_model(models: &BTreeMap<Arc<str>, ModelEntry>, task: Task) -> DefaultModel {
    let candidates = || {
        let of_route = |route| models.iter().filter(move |(_, entry)| entry.route == route);
        of_route(Some(true)).chain(of_route(None))
    };
    let does_task = |entry: &ModelEntry| entry.task(None) == Some(task);
    let serves = |entry: &ModelEntry| matches!(entry.state(None), Some(ModelState::Ready(_)));
    let is_unloaded = |entry: &ModelEntry| matches!(entry.state(None), Some(ModelState::Unloaded));
    let known = |name: &Arc<str>| DefaultModel::Known(Arc::clone(name));
    if let Some((name, _)) = candidates().find(|(_, entry)| serves(entry) && does_task(entry)) {
        return known(name);
    }
    for (name, entry) in candidates().filter(|(_, entry)| !is_unloaded(entry)) {
        match (entry.task(None), entry.state(None)) {
            (Some(found), _) if found == task => return known(name),
            (None, Some(ModelState::Loading)) => return DefaultModel::Pending(Arc::clone(name)),
            _ => {}
        }
    }
    let unloaded = candidates().find(|(_, entry)| does_task(entry));
    unloaded.map_or(DefaultModel::None, |(name, _)| known(name))
}

fn by_address(models: &BTreeMap<Arc<str>, ModelEntry>, address: &str) -> Lookup {
    let address = Address::from(address);
    let Some((name, entry)) = resolve(models, address) else {
        return Lookup::NoModel;
    };
    let name = Arc::clone(name);
    match entry.state(address.version) {
        Some(state) => Lookup::Model {
            name,
            task: entry.task(address.version),
            state,
        },
        None => Lookup::NoVersion(name),
    }
}

/// The model that an address means: by its name, or else the first by name that has the alias, or else the first that was
/// pulled by that name.
fn resolve<'m>(
    models: &'m BTreeMap<Arc<str>, ModelEntry>,
    address: Address<'_>,
) -> Option<(&'m Arc<str>, &'m ModelEntry)> {
    let name = address.name;
    let first = |has: &dyn Fn(&ModelEntry) -> bool| models.iter().find(|(_, entry)| has(entry));
    models
        .get_key_value(name)
        .or_else(|| first(&|entry| entry.aliases.iter().any(|alias| alias == name)))
        .or_else(|| first(&|entry| entry.hub_name.as_deref() == Some(name)))
}

#[cfg(test)]
mod tests;
