//! The model repository extension: the index, and the parameters of load and unload requests.

use schemars::JsonSchema;
use serde::Serialize;

use super::parameters::{self, Parameters};
use crate::error::ServiceError;
use crate::quote::quoted;
use crate::registry::ModelState;
use crate::service::Service;

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IndexEntry {
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
    /// Whether the version answers requests.
    pub state: IndexState,
    /// Why the version does not answer requests, or why its current files could not be loaded. Otherwise empty.
    pub reason: String,
}

/// Whether a version answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "UPPERCASE")]
pub enum IndexState {
    /// It answers requests.
    Ready,
    /// It is not loaded yet.
    Loading,
    /// It failed to load or was unloaded.
    Unavailable,
}

impl IndexState {
    /// The protocol's spelling.
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
    /// All versions of all models, or only those that can answer requests.
    #[must_use]
    pub fn repository_index(&self, only_ready: bool) -> Vec<IndexEntry> {
        let mut index = Vec::new();
        for status in self.registry().statuses() {
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

/// Checks the parameters of a load request: none is accepted. Triton accepts a configuration (`config`) and files
/// (`file:…`), with which it serves the model until it is reloaded without them.
///
/// # Errors
/// [`ServiceError::InvalidValue`] if there is such a parameter: a model is always loaded from its folder.
pub fn check_load_parameters(parameters: &Parameters) -> Result<(), ServiceError> {
    match parameters.iter().find(|(_, value)| value.is_given()) {
        None => Ok(()),
        Some((name, _)) => Err(ServiceError::InvalidValue {
            place: format!("`parameters.{}`", quoted(name)),
            reason: "a model is loaded from its folder alone, and the loaded one stays as it is; change electra.toml or \
                     the files in that folder, then load the model without parameters, or let the server find the \
                     change, as it does every watch_interval_ms"
                .to_owned(),
        }),
    }
}

/// Checks the parameters of an unload request.
///
/// # Errors
/// If there is any but `unload_dependents`. That may be true or false, because no model depends on another.
pub fn check_unload_parameters(parameters: &Parameters) -> Result<(), ServiceError> {
    parameters::only_truth(parameters, "unload_dependents")
}
