//! The service: the models, the limits of requests, and whether the server is draining.

use std::sync::Arc;

use tokio::sync::watch;

use super::context::RequestContext;
use crate::batch::Gate;
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
    gate: Gate,
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
        gate: Gate,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                registry,
                control,
                limits,
                executor,
                gate,
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

    /// Refuses a request that would have to wait too long, before its body of this many bytes is parsed.
    ///
    /// # Errors
    /// [`ServiceError::QueueFull`], [`ServiceError::DeadlineTooShort`].
    pub fn check_load(&self, context: &RequestContext, bytes: usize) -> Result<(), ServiceError> {
        Ok(self.shared.gate.check(context.schedule(), bytes)?)
    }

    /// Finds the model for a request to a task: the named model, or the task's default.
    #[must_use]
    pub fn find(&self, task: Task, named: Option<&str>) -> Target {
        let lookup = self.registry().look_up(task, named);
        self.target(lookup, named, Some(task))
    }

    /// Finds a model of any task by its name or alias, with or without a version.
    #[must_use]
    pub fn find_any(&self, address: &str) -> Target {
        let lookup = self.registry().look_up_any(address);
        self.target(lookup, Some(address), None)
    }

    /// Finds a loaded model of any task.
    ///
    /// # Errors
    /// If there is no such model, it is still loading, it failed to load, or it was unloaded.
    pub fn loaded_model(&self, address: &str) -> Result<Arc<LoadedModel>, ServiceError> {
        self.find_any(address).model
    }

    /// The model of a lookup. `named` is what errors call it; `wanted` is the task that it must do, if any.
    fn target(&self, lookup: Lookup, named: Option<&str>, wanted: Option<Task>) -> Target {
        let (name, model) = match lookup {
            Lookup::Model { name, task, state } => {
                let address = named.unwrap_or(&name);
                let model = match (task, wanted) {
                    (Some(task), Some(wanted)) if task != wanted => Err(ServiceError::WrongTask {
                        model: address.to_owned(),
                        task,
                        wanted,
                    }),
                    _ => loaded(state, address),
                };
                (Some(name), model)
            }
            Lookup::NoVersion(name) => {
                let error = self.not_found(named.unwrap_or(&name));
                (Some(name), Err(error))
            }
            Lookup::NoModel => (None, Err(self.not_found(named.unwrap_or_default()))),
            Lookup::DefaultPending(name) => (None, Err(loading(&name))),
            Lookup::NoDefault(task) => {
                let available = self.model_names();
                (None, Err(ServiceError::NoModelForTask { task, available }))
            }
        };
        Target { name, model }
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

/// The model, if it can answer.
fn loaded(state: ModelState, address: &str) -> Result<Arc<LoadedModel>, ServiceError> {
    match state {
        ModelState::Ready(model) => Ok(model),
        ModelState::Loading => Err(loading(address)),
        ModelState::Failed { reason } => Err(ServiceError::ModelUnavailable {
            model: address.to_owned(),
            reason,
        }),
        ModelState::Unloaded => Err(ServiceError::ModelUnloaded {
            model: address.to_owned(),
        }),
    }
}
