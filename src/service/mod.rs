//! The operations, the same for every transport: a validated request in, an answer or an error of the one table out.

mod classify;
pub mod context;
mod discriminate;
pub mod eval;
pub mod export;
pub mod inference;
mod input;
pub mod json;
mod models;
mod offload;
pub mod pipeline;
pub mod pull;
mod qa;
mod readiness;
mod run;
pub mod source;
mod tag;
mod timings;
mod windowed;

#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

pub use classify::{Classification, ClassifyInput, ClassifyRequest, LabelScore};
pub use context::RequestContext;
pub use discriminate::{DiscriminateRequest, Discrimination, Level, ScoredToken, ScoredWord};
pub(crate) use input::objects;
pub use input::{Count, Inputs, Threshold};
pub use models::{ModelReport, VersionReport};
pub use qa::{AnswerSpan, QaAnswers, QaItem, QaRequest};
pub use tag::{TagRequest, TaggedEntity, Tagging};
pub use timings::Timings;

use crate::config::Limits;
use crate::error::ServiceError;
use crate::quote::quoted;
use crate::repository::{Control, DefaultModel, LoadedModel, ModelState, Repository};
use crate::task::Task;
use offload::Offload;
pub(crate) use qa::{
    DEFAULT_ANSWER_TOKENS as QA_ANSWER_TOKENS, DEFAULT_STRIDE as QA_STRIDE,
    MAX_TOP_K as QA_MAX_TOP_K, WINDOW_TOKENS as QA_WINDOW_TOKENS,
    check_defaults as check_qa_defaults,
};
pub(crate) use windowed::{pair, single};

/// Answers requests; cheap to clone.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    repository: Arc<Repository>,
    control: Control,
    limits: Limits,
    offload: Offload,
    draining: watch::Sender<bool>,
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
    /// A service over a repository, whose models may still be loading, and the way to who loads them. `threads` bounds
    /// what is computed at a time outside the models, such as tokenizing long texts.
    #[must_use]
    pub fn new(
        repository: Arc<Repository>,
        control: Control,
        limits: Limits,
        threads: usize,
    ) -> Self {
        let offload = Offload::new(threads);
        Self {
            shared: Arc::new(Shared {
                repository,
                control,
                limits,
                offload,
                draining: watch::Sender::new(false),
            }),
        }
    }

    /// The models.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.shared.repository
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
        for status in self.repository().statuses() {
            if let Some(model) = status.state.model() {
                let limits = model.info.limits;
                widest.max_inputs = widest.max_inputs.max(limits.max_inputs);
                widest.max_text_bytes = widest.max_text_bytes.max(limits.max_text_bytes);
            }
        }
        widest
    }

    /// The name of the model that answers a request for this task, for metrics: a name of the repository, or None where
    /// there is none such.
    #[must_use]
    pub fn model_name(&self, task: Task, asked: Option<&str>) -> Option<Arc<str>> {
        let repository = self.repository();
        match asked {
            Some(address) => repository.find(address),
            None => match repository.default_model(task) {
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
        self.shared.offload.run(input_bytes, deadline, work).await
    }

    /// The loaded model a request for this task is answered by.
    ///
    /// # Errors
    /// Where there is none, it does another task, is still loading, or could not be loaded.
    pub fn model(&self, task: Task, asked: Option<&str>) -> Result<Arc<LoadedModel>, ServiceError> {
        let repository = self.repository();
        let default;
        let address = match asked {
            Some(address) => address,
            None => match repository.default_model(task) {
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
        match repository.task(address) {
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
        let state = self.repository().state(address);
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
        let names = self.repository().names();
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
