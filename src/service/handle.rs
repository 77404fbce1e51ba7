//! The service: the models, the limits of requests, and how far its stop has come.

use std::sync::Arc;

use tokio::sync::watch;

use super::context::RequestContext;
use crate::batch::{Gate, Priority, PriorityAccess};
use crate::error::ServiceError;
use crate::executor::Executor;
use crate::limits::Limits;
use crate::quote::quoted;
use crate::registry::{Control, LoadedModel, Lookup, ModelState, Registry};
use crate::stage::Stage;
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
    priorities: PriorityAccess,
    pub(super) stage: watch::Sender<Stage>,
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
        priorities: PriorityAccess,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                registry,
                control,
                limits,
                executor,
                gate,
                priorities,
                stage: watch::Sender::default(),
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

    /// Refuses a request that would have to wait too long, before it is parsed.
    ///
    /// # Errors
    /// [`ServiceError::QueueFull`], [`ServiceError::DeadlineTooShort`].
    pub fn check_load(&self, context: &RequestContext) -> Result<(), ServiceError> {
        Ok(self.shared.gate.check(context.schedule())?)
    }

    /// Refuses a priority that the client may not name.
    ///
    /// # Errors
    /// [`ServiceError::PermissionDenied`].
    pub fn check_priority(&self, context: &RequestContext) -> Result<(), ServiceError> {
        let is_free = context.priority == Priority::default() || context.requester.is_admin();
        match self.shared.priorities {
            PriorityAccess::Admin if !is_free => Err(ServiceError::PermissionDenied {
                reason:
                    "only administrators may set a request's priority on this server; leave out \
                         x-request-priority and the parameter `priority`"
                        .to_owned(),
            }),
            PriorityAccess::Any | PriorityAccess::Admin => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::access::Requester;
    use crate::client::Client;
    use crate::service::testing::loading_service;

    #[test]
    fn priorities_of_administrators_alone_are_refused_to_others() {
        // This service takes priorities of administrators alone.
        let service = loading_service(&[]);
        let check = |number: u8, client: Client| {
            let priority = Priority::try_from(number).unwrap();
            let deadline = Instant::now() + Duration::from_secs(1);
            let context =
                RequestContext::new(priority, deadline).sent_by(Requester::without_key(client));
            service
                .check_priority(&context)
                .map_err(|error| error.code())
        };
        let client = Client::from(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(check(1, client), Err("permission_denied"));
        assert_eq!(check(5, client), Err("permission_denied"));
        assert_eq!(check(3, client), Ok(()));
        assert_eq!(check(1, Client::Local), Ok(()));
    }
}
