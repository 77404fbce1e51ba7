//! What the registry tells of its models.

use std::sync::Arc;

use super::model::ModelState;
use crate::model_folder::Version;
use crate::task::Task;

/// A model as it can be seen from outside.
#[derive(Clone, Debug)]
pub struct ModelStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its other names.
    pub aliases: Vec<String>,
    /// What it does, where it is known yet.
    pub task: Option<Task>,
    /// The state of the version that serves.
    pub state: ModelState,
    /// Whether it was there at the start, so that the server is not ready without it.
    pub required: bool,
    /// Its versions, the lowest first.
    pub versions: Vec<(Version, VersionState)>,
}

/// What a route without `"model"` in its request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultModel {
    /// The model that electra.toml gives the route, or else the first by name that does the task, whatever its state.
    Is(Arc<str>),
    /// Not known until this model, whose task only its graph says, is loaded.
    Awaits(Arc<str>),
    /// No model does the task.
    None,
}

/// A version as it can be seen from outside.
#[derive(Clone, Debug)]
pub struct VersionState {
    /// Whether it can be asked.
    pub state: ModelState,
    /// Why its files, as they are now, could not be loaded; it may still answer from those that were there before.
    pub problem: Option<String>,
}

/// What a request's model is, at one moment.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// There is one.
    Model {
        /// Its name, never an alias.
        name: Arc<str>,
        /// What it does, if that is known yet.
        task: Option<Task>,
        /// Whether it can be asked.
        state: ModelState,
    },
    /// The model exists, but not in this version.
    NoVersion(Arc<str>),
    /// No model has this name.
    NoModel,
    /// The task's default is not known until this model, whose task only its graph tells, is loaded.
    DefaultAwaits(Arc<str>),
    /// No model does the task.
    NoDefault,
}
