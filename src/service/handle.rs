//! The service: the models, the limits of requests, and whether the server is draining.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::ServiceError;
use crate::executor::Executor;
use crate::limits::Limits;
use crate::quote::quoted;
use crate::registry::{Control, LoadedModel, Lookup, ModelState, Registry};
use crate::task::Task;

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    registry: Arc<Registry>,
    pub(super) control: Control,
    limits: Limits,
    executor: Executor,
    pub(super) draining: watch::Sender<bool>,
}

/// The model that a request names. It is looked up once, so that metrics name the model that answers.
#[derive(Debug)]
pub struct Target {
    /// The model's name, for metrics. Set even if the model cannot answer; `None` if there is no such model.
    pub name: Option<Arc<str>>,
    pub model: Result<Arc<LoadedModel>, ServiceError>,
}

impl Service {
    /// Makes a service over a registry, whose models may still be loading. `control` reaches the task that loads
    /// models.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        control: Control,
        limits: Limits,
        executor: Executor,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                registry,
                control,
                limits,
                executor,
                draining: watch::Sender::new(false),
            }),
        }
    }

    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Limits of one request, unless its model sets its own.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The widest limits of the server and all its models. No model accepts more.
    #[must_use]
    pub fn widest_limits(&self) -> Limits {
        let mut widest = *self.limits();
        for status in self.registry().statuses() {
            if let Some(model) = status.state.model() {
                let limits = model.info.limits;
                widest.max_inputs = widest.max_inputs.max(limits.max_inputs);
                widest.max_text_bytes = widest.max_text_bytes.max(limits.max_text_bytes);
            }
        }
        widest
    }

    /// Runs work outside of models, such as parsing and tokenizing.
    #[must_use]
    pub fn executor(&self) -> &Executor {
        &self.shared.executor
    }

    /// Finds the model for a request to a task: the named model, or the task's default.
    #[must_use]
    pub fn find(&self, task: Task, named: Option<&str>) -> Target {
        let lookup = self.registry().look_up(task, named);
        if let Lookup::Model {
            name,
            task: Some(found),
            ..
        } = &lookup
            && *found != task
        {
            return Target {
                model: Err(ServiceError::WrongTask {
                    model: named.unwrap_or(name).to_owned(),
                    task: *found,
                    wanted: task,
                }),
                name: Some(Arc::clone(name)),
            };
        }
        if let Lookup::NoDefault = lookup {
            return Target {
                model: Err(ServiceError::NoModelForTask {
                    task,
                    available: self.model_names(),
                }),
                name: None,
            };
        }
        self.target(lookup, named)
    }

    /// Finds a model of any task by its name or alias, with or without a version.
    #[must_use]
    pub fn find_any(&self, address: &str) -> Target {
        let lookup = self.registry().look_up_any(address);
        self.target(lookup, Some(address))
    }

    /// Finds a loaded model of any task.
    ///
    /// # Errors
    /// If there is no such model, it is still loading, it failed to load, or it was unloaded.
    pub fn loaded_model(&self, address: &str) -> Result<Arc<LoadedModel>, ServiceError> {
        self.find_any(address).model
    }

    fn target(&self, lookup: Lookup, named: Option<&str>) -> Target {
        let (name, state) = match lookup {
            Lookup::Model { name, state, .. } => (name, state),
            Lookup::NoVersion(name) => {
                return Target {
                    model: Err(self.not_found(named.unwrap_or(&name))),
                    name: Some(name),
                };
            }
            Lookup::NoModel | Lookup::NoDefault => {
                return Target {
                    model: Err(self.not_found(named.unwrap_or_default())),
                    name: None,
                };
            }
            Lookup::DefaultPending(name) => {
                return Target {
                    model: Err(loading(&name)),
                    name: None,
                };
            }
        };
        let address = named.unwrap_or(&name);
        let model = match state {
            ModelState::Ready(model) => Ok(model),
            ModelState::Loading => Err(loading(address)),
            ModelState::Failed { reason } => Err(ServiceError::ModelUnavailable {
                model: address.to_owned(),
                reason,
            }),
            ModelState::Unloaded => Err(ServiceError::ModelUnloaded {
                model: address.to_owned(),
            }),
        };
        Target {
            name: Some(name),
            model,
        }
    }

    fn model_names(&self) -> Vec<String> {
        let names = self.registry().names();
        names.iter().map(ToString::to_string).collect()
    }

    /// The error for an unknown name. It lists the models that exist.
    #[must_use]
    pub fn not_found(&self, address: &str) -> ServiceError {
        ServiceError::ModelNotFound {
            name: address.to_owned(),
            available: self.model_names(),
        }
    }
}

fn loading(name: &str) -> ServiceError {
    ServiceError::NotReady {
        reason: format!("the model `{}` is loading", quoted(name)),
    }
}
