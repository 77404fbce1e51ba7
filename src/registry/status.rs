//! The state of models as reported to clients.

use std::sync::Arc;

use super::model::ModelState;
use crate::model_folder::Version;
use crate::task::Task;

#[derive(Clone, Debug)]
pub struct ModelStatus {
    pub name: Arc<str>,
    /// Other names: aliases in electra.toml, and the hub name.
    pub aliases: Vec<String>,
    /// Once known.
    pub task: Option<Task>,
    /// The state of the version that serves.
    pub state: ModelState,
    /// Whether it was there at the start. The server is ready only once all such models are.
    pub required: bool,
    /// In ascending order.
    pub versions: Vec<(Version, VersionState)>,
}

/// The model that a route uses if the request names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultModel {
    /// A model that serves, if any with the task does.
    Known(Arc<str>),
    /// None serves, and it is unknown until this model is loaded, whose task only its graph tells.
    Pending(Arc<str>),
    /// No model has the task.
    None,
}

#[derive(Clone, Debug)]
pub struct VersionState {
    pub state: ModelState,
    /// Why its current files could not be loaded. A model loaded from earlier files may still serve.
    pub problem: Option<String>,
}

/// The result of looking up a request's model.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// There is one.
    Model {
        /// Its name, never an alias.
        name: Arc<str>,
        /// What it does, if that is known yet.
        task: Option<Task>,
        /// Whether it can answer requests.
        state: ModelState,
    },
    /// The model exists, but not in this version.
    NoVersion(Arc<str>),
    /// No model has this name.
    NoModel,
    /// The task's default is not known until this model, whose task only its graph tells, is loaded.
    DefaultPending(Arc<str>),
    /// No model does the task.
    NoDefault(Task),
}
