//! The service: the models, what requests to them may hold, and whether it is stopping.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::timings::Timings;
use crate::error::ServiceError;
use crate::executor::Executor;
use crate::limits::Limits;
use crate::quote::quoted;
use crate::registry::{Control, DefaultModel, LoadedModel, ModelState, Registry};
use crate::task::Task;

/// Answers requests; cheap to clone.
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

/// What a task's operation answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<R> {
    /// The model that computed it.
    pub model: String,
    /// One result an input, in order.
    pub results: Vec<R>,
    /// Where the time went.
    pub timings: Timings,
}

impl Service {
    /// A service over a registry, whose models may still be loading, and the way to who loads them. `threads` bounds
    /// what is computed at a time outside the models, such as tokenizing long texts.
    #[must_use]
    pub fn new(registry: Arc<Registry>, control: Control, limits: Limits, threads: usize) -> Self {
        let executor = Executor::new(threads);
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

    /// The models.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// What one request may hold, where its model sets no limits of its own.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The widest limits of any model, or of the server: what is beyond them, no model takes.
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

    /// The name of the model that answers a request for this task, for metrics: a name of the registry, or None where
    /// there is none such.
    #[must_use]
    pub fn model_name(&self, task: Task, asked: Option<&str>) -> Option<Arc<str>> {
        let registry = self.registry();
        match asked {
            Some(address) => registry.find(address),
            None => match registry.default_model(task) {
                DefaultModel::Is(name) => Some(name),
                DefaultModel::Awaits(_) | DefaultModel::None => None,
            },
        }
    }

    /// Runs `work` where it does not hold up other requests: in place when it is small, else on a blocking thread.
    ///
    /// # Errors
    /// [`ServiceError::DeadlineExceeded`], or [`ServiceError::Internal`] where the work panicked.
    pub async fn compute<T: Send + 'static>(
        &self,
        input_bytes: usize,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.shared.executor.run(input_bytes, deadline, work).await
    }

    /// The loaded model a request for this task is answered by.
    ///
    /// # Errors
    /// Where there is none, it does another task, is still loading, or could not be loaded.
    pub fn model(&self, task: Task, asked: Option<&str>) -> Result<Arc<LoadedModel>, ServiceError> {
        let registry = self.registry();
        let default;
        let address = match asked {
            Some(address) => address,
            None => match registry.default_model(task) {
                DefaultModel::Is(name) => {
                    default = name;
                    &default
                }
                DefaultModel::Awaits(name) => return Err(loading(&name)),
                DefaultModel::None => {
                    return Err(ServiceError::NoModelForTask {
                        task,
                        available: self.model_names(),
                    });
                }
            },
        };
        match registry.task(address) {
            Some(found) if found != task => Err(ServiceError::WrongTask {
                model: address.to_owned(),
                task: found,
                wanted: task,
            }),
            _ => self.loaded(address),
        }
    }

    /// The loaded model of an address, whatever its task.
    ///
    /// # Errors
    /// Where there is none, it is still loading, or could not be loaded.
    pub fn loaded(&self, address: &str) -> Result<Arc<LoadedModel>, ServiceError> {
        let state = self.registry().state(address);
        match state.ok_or_else(|| self.not_found(address))? {
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

    fn model_names(&self) -> Vec<String> {
        let names = self.registry().names();
        names.iter().map(ToString::to_string).collect()
    }

    /// Says that no model has this name, and which ones there are.
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
