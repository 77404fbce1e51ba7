//! Which models there are, what each is, and whether it can be asked.

mod folder;
mod load;
mod model;
mod model_config;
mod task;
mod warm_up;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

pub use folder::{ModelFolder, ScanError};
pub use load::{LoadError, Loader};
pub use model::{LoadedModel, ModelInfo, ModelState};
pub use model_config::ModelConfig;
pub use warm_up::WarmUp;

use crate::task::Task;

/// All models of a model repository by name, each with its state.
#[derive(Debug)]
pub struct Repository {
    models: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    folder: ModelFolder,
    /// What the files say before the model is loaded; None where only the graph or nothing says it.
    declared_task: Option<Task>,
    state: RwLock<ModelState>,
}

/// What a route without `"model"` in its request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultModel<'r> {
    /// The first model by name that does the task, whatever its state.
    Is(&'r str),
    /// Not known until this model, whose task only its graph says, is loaded.
    Awaits(&'r str),
    /// No model does the task.
    None,
}

impl Repository {
    /// Finds the model folders; loads nothing.
    ///
    /// # Errors
    /// Where the folder can't be read or holds no model, with what to do.
    pub fn scan(path: &Path) -> Result<Self, ScanError> {
        Ok(Self::of(folder::scan(path)?))
    }

    /// A repository of these folders, all still to be loaded.
    #[must_use]
    pub fn of(folders: Vec<ModelFolder>) -> Self {
        let entry = |folder: ModelFolder| {
            let declared_task = model_config::declared_task(&folder.path);
            let state = RwLock::new(ModelState::Loading);
            (
                folder.name.clone(),
                Entry {
                    folder,
                    declared_task,
                    state,
                },
            )
        };
        Self {
            models: folders.into_iter().map(entry).collect(),
        }
    }

    /// The folders, by name.
    pub fn folders(&self) -> impl Iterator<Item = &ModelFolder> {
        self.models.values().map(|entry| &entry.folder)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// The name as the repository holds it, if it holds it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        self.models
            .get_key_value(name)
            .map(|(name, _)| name.as_str())
    }

    /// The state of a model.
    pub fn state(&self, name: &str) -> Option<ModelState> {
        let entry = self.models.get(name)?;
        Some(
            entry
                .state
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }

    /// Replaces the state of a model; a name that is not in the repository is left alone.
    pub fn set_state(&self, name: &str, state: ModelState) {
        if let Some(entry) = self.models.get(name) {
            *entry.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        }
    }

    /// What a model does, where it is known yet.
    #[must_use]
    pub fn task(&self, name: &str) -> Option<Task> {
        match self.state(name)? {
            ModelState::Ready(model) => Some(model.info.task),
            ModelState::Loading | ModelState::Failed { .. } => self.models.get(name)?.declared_task,
        }
    }

    /// The model a task's route uses when the request names none.
    #[must_use]
    pub fn default_model(&self, task: Task) -> DefaultModel<'_> {
        for name in self.names() {
            match (self.task(name), self.state(name)) {
                (Some(found), _) if found == task => return DefaultModel::Is(name),
                (None, Some(ModelState::Loading)) => return DefaultModel::Awaits(name),
                _ => {}
            }
        }
        DefaultModel::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(tasks: &[(&str, Option<Task>)]) -> Repository {
        let entry = |(name, declared_task): &(&str, Option<Task>)| {
            let folder = ModelFolder {
                name: (*name).to_owned(),
                path: "".into(),
                graph: "".into(),
            };
            let state = RwLock::new(ModelState::Loading);
            (
                (*name).to_owned(),
                Entry {
                    folder,
                    declared_task: *declared_task,
                    state,
                },
            )
        };
        Repository {
            models: tasks.iter().map(entry).collect(),
        }
    }

    #[test]
    fn the_first_by_name_is_a_routes_default_even_if_it_failed() {
        let models = repository(&[
            ("b", Some(Task::Qa)),
            ("a", Some(Task::Tag)),
            ("c", Some(Task::Qa)),
        ]);
        assert_eq!(models.default_model(Task::Qa), DefaultModel::Is("b"));
        models.set_state(
            "b",
            ModelState::Failed {
                reason: "broken".into(),
            },
        );
        assert_eq!(models.default_model(Task::Qa), DefaultModel::Is("b"));
        assert_eq!(models.default_model(Task::Classify), DefaultModel::None);
    }

    #[test]
    fn the_default_waits_for_a_model_whose_task_only_its_graph_says() {
        let models = repository(&[("a", None), ("b", Some(Task::Qa))]);
        assert_eq!(models.default_model(Task::Qa), DefaultModel::Awaits("a"));
        models.set_state(
            "a",
            ModelState::Failed {
                reason: "broken".into(),
            },
        );
        assert_eq!(models.default_model(Task::Qa), DefaultModel::Is("b"));
    }
}
