//! The model-repository extension: what there is, and what loading and unloading can be told.

use serde::Serialize;

use super::parameters::{self, Parameters};
use crate::error::ServiceError;
use crate::repository::ModelState;
use crate::service::Service;

/// One version of a model in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndexEntry {
    /// The model.
    pub name: String,
    /// The version.
    pub version: String,
    /// Whether it can be asked.
    pub state: IndexState,
    /// Why it can't, or why its files as they are now could not be loaded; empty where nothing is wrong.
    pub reason: String,
}

/// Whether a version can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum IndexState {
    /// Yes.
    Ready,
    /// Not yet.
    Loading,
    /// No.
    Unavailable,
}

impl IndexState {
    /// As the protocol spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Loading => "LOADING",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

impl Service {
    /// All versions of all models, or those that can be asked.
    #[must_use]
    pub fn repository_index(&self, only_ready: bool) -> Vec<IndexEntry> {
        let mut index = Vec::new();
        for status in self.repository().statuses() {
            for (number, version) in &status.versions {
                let (state, reason) = match &version.state {
                    ModelState::Ready(_) => (IndexState::Ready, None),
                    ModelState::Loading => (IndexState::Loading, None),
                    ModelState::Failed { reason } => {
                        (IndexState::Unavailable, Some(reason.as_str()))
                    }
                    ModelState::Unloaded => (IndexState::Unavailable, Some("unloaded")),
                };
                if only_ready && state != IndexState::Ready {
                    continue;
                }
                let reason = reason.or(version.problem.as_deref());
                index.push(IndexEntry {
                    name: status.name.to_string(),
                    version: number.to_string(),
                    state,
                    reason: reason.unwrap_or_default().to_owned(),
                });
            }
        }
        index
    }
}

/// Checks what loading a model was told: nothing can be.
///
/// # Errors
/// [`ServiceError::UnknownField`]: a model is what its folder holds.
pub fn check_load_parameters(parameters: &Parameters) -> Result<(), ServiceError> {
    match parameters.keys().next() {
        None => Ok(()),
        Some(name) => Err(ServiceError::UnknownField {
            place: "`parameters`".to_owned(),
            field: name.clone(),
            hint: "A model is loaded as its folder has it; change the files there, and electra.toml for its settings."
                .to_owned(),
        }),
    }
}

/// Checks what unloading a model was told.
///
/// # Errors
/// What is not `unload_dependents`, which is true or false alike as no model depends on another.
pub fn check_unload_parameters(parameters: &Parameters) -> Result<(), ServiceError> {
    parameters::only_truth(parameters, "unload_dependents")
}
