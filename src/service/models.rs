//! State and metadata of the models, and loading and unloading them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::Service;
use crate::error::ServiceError;
use crate::model_folder::Version;
use crate::registry::{ControlError, DefaultModel, ModelInfo, ModelStatus, VersionState};
use crate::task::Task;

/// How the states of versions are called.
const STATES: [&str; 4] = ["loading", "ready", "failed", "unloaded"];
/// How graphs' numbers are called.
pub(super) const PRECISIONS: [&str; 3] = ["fp32", "fp16", "int8"];

/// One model. What is known only of a loaded model is absent from the others.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Model")]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// What it does; null where that is not known yet.
    pub task: Option<Task>,
    /// Other names it can be asked by.
    pub aliases: Vec<String>,
    /// Its versions, the lowest first; a folder without numbered versions is version 1.
    pub versions: Vec<String>,
    /// The version that answers who names none, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The state of that version, or of the one that should be it.
    #[schemars(extend("enum" = STATES))]
    pub state: &'static str,
    /// Why files of it, as they are now, could not be loaded; what was loaded before may still answer. Of several versions, the
    /// highest such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Each version's state, in the order of `versions`.
    pub version_states: Vec<VersionReport>,
    /// Whether its task's route uses it where a request names no model.
    pub default: bool,
    /// What the files can only say once they are loaded.
    #[serde(flatten)]
    pub details: Option<ModelDetails>,
}

/// One version of a model.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ModelVersion")]
pub struct VersionReport {
    /// Its number.
    pub version: String,
    /// Whether it answers.
    #[schemars(extend("enum" = STATES))]
    pub state: &'static str,
    /// Why its files, as they are now, could not be loaded; a version that is ready answers from those before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a loaded one.
    #[schemars(extend("enum" = PRECISIONS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Bytes of its files, of a loaded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// What is known of a loaded model.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ModelDetails {
    /// The numbers its graph is of.
    #[schemars(extend("enum" = PRECISIONS))]
    pub precision: String,
    /// What computes it: `cpu`, `cuda:0`, `tensorrt:0`.
    pub device: String,
    /// How sequences stand in a batch.
    #[schemars(extend("enum" = ["packed", "padded"]))]
    pub layout: String,
    /// The longest sequence in tokens, special ones included.
    pub max_tokens: usize,
    /// Its labels, in the order of its scores.
    pub labels: Vec<String>,
    /// The graph's inputs.
    pub inputs: Vec<TensorReport>,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// The checkpoint that it was pulled from, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// One input of a graph.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "GraphInput")]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// Its element type, as the Open Inference Protocol names it.
    pub datatype: String,
    /// Its dimensions; -1 where any length will do.
    #[schemars(inner(range(min = -1)))]
    pub shape: Vec<i64>,
}

impl Service {
    /// All models, sorted by name.
    #[must_use]
    pub fn models(&self) -> Vec<ModelReport> {
        let statuses = self.registry().statuses();
        statuses.iter().map(|status| self.report(status)).collect()
    }

    /// One model, by its name or an alias.
    ///
    /// # Errors
    /// [`ServiceError::ModelNotFound`] if there is no such model.
    pub fn model_report(&self, name: &str) -> Result<ModelReport, ServiceError> {
        let status = self.registry().status(name);
        let status = status.ok_or_else(|| self.not_found(name))?;
        Ok(self.report(&status))
    }

    /// Loads a model, or reloads it if its files have changed. Returns once it serves. Until then, and if loading
    /// fails, the version that served before keeps serving.
    ///
    /// # Errors
    /// [`ServiceError::ModelNotFound`], [`ServiceError::ModelUnavailable`] with the reason if loading fails,
    /// [`ServiceError::Draining`].
    pub async fn load_model(&self, name: &str) -> Result<(), ServiceError> {
        self.refuse_when_draining()?;
        self.controlled(name, self.shared.control.load(name).await)
    }

    /// Unloads a model until it is loaded again. Requests it has accepted are still answered.
    ///
    /// # Errors
    /// [`ServiceError::ModelNotFound`], [`ServiceError::Draining`].
    pub async fn unload_model(&self, name: &str) -> Result<(), ServiceError> {
        self.refuse_when_draining()?;
        self.controlled(name, self.shared.control.unload(name).await)
    }

    fn refuse_when_draining(&self) -> Result<(), ServiceError> {
        if self.is_draining() {
            return Err(ServiceError::Draining);
        }
        Ok(())
    }

    fn controlled(
        &self,
        name: &str,
        outcome: Result<(), ControlError>,
    ) -> Result<(), ServiceError> {
        outcome.map_err(|error| match error {
            ControlError::NotFound => self.not_found(name),
            ControlError::Failed(reason) => ServiceError::ModelUnavailable {
                model: name.to_owned(),
                reason,
            },
            ControlError::Stopped => ServiceError::Draining,
        })
    }

    fn report(&self, status: &ModelStatus) -> ModelReport {
        let version_states: Vec<_> = status.versions.iter().map(VersionReport::of).collect();
        let serving = status.state.model();
        let default = status.task.is_some_and(|task| {
            self.registry().default_model(task) == DefaultModel::Is(Arc::clone(&status.name))
        });
        let highest_reason = version_states
            .iter()
            .rev()
            .find_map(|version| version.reason.clone());
        ModelReport {
            name: status.name.to_string(),
            task: status.task,
            aliases: status.aliases.clone(),
            versions: version_states
                .iter()
                .map(|version| version.version.clone())
                .collect(),
            version: serving.map(|model| model.info.version.to_string()),
            state: status.state.name(),
            reason: highest_reason,
            version_states,
            default,
            details: serving.map(|model| ModelDetails::of(&model.info)),
        }
    }
}

impl VersionReport {
    fn of((version, state): &(Version, VersionState)) -> Self {
        let loaded = state.state.model().map(|model| &model.info);
        Self {
            version: version.to_string(),
            state: state.state.name(),
            reason: state.problem.clone(),
            precision: loaded.map(|info| info.precision.to_string()),
            size_bytes: loaded.map(|info| info.size_bytes),
        }
    }
}

impl ModelDetails {
    fn of(info: &ModelInfo) -> Self {
        Self {
            precision: info.precision.to_string(),
            device: info.device.to_string(),
            layout: info.layout.to_string(),
            max_tokens: info.max_tokens,
            labels: info.labels.clone(),
            inputs: info.inputs.iter().map(TensorReport::from).collect(),
            size_bytes: info.size_bytes,
            source: info.source.clone(),
        }
    }
}

impl From<&crate::engine::TensorInfo> for TensorReport {
    fn from(tensor: &crate::engine::TensorInfo) -> Self {
        Self {
            name: tensor.name.clone(),
            datatype: tensor.datatype.clone(),
            shape: tensor.shape.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Fixture, fail, loading_service};

    #[tokio::test]
    async fn a_loaded_model_is_described_in_full() {
        let fixture = Fixture::new(Task::Classify);
        let report = fixture.service.model_report("model").unwrap();
        let json = serde_json::to_value(&report).unwrap();
        for (field, value) in [
            ("name", "model"),
            ("task", "classify"),
            ("state", "ready"),
            ("precision", "int8"),
            ("device", "cpu"),
            ("layout", "packed"),
        ] {
            assert_eq!(json[field], value, "{field}");
        }
        assert_eq!(json["default"], true);
        assert_eq!(json["max_tokens"], 12);
        assert_eq!(json["labels"], serde_json::json!(["bad", "good"]));
        assert!(json.get("reason").is_none());
    }

    #[tokio::test]
    async fn a_stopping_server_loads_nothing_and_one_without_a_loader_says_so() {
        let fixture = Fixture::new(Task::Tag);
        let refusal = fixture.service.load_model("model").await.unwrap_err();
        assert_eq!(refusal.code(), "draining");
        fixture.service.start_draining();
        for outcome in [
            fixture.service.load_model("model").await,
            fixture.service.unload_model("model").await,
        ] {
            assert_eq!(outcome.unwrap_err().code(), "draining");
        }
    }

    #[test]
    fn a_failed_model_is_listed_with_its_reason() {
        let service = loading_service(&["a"]);
        fail(&service, "a", "broken");
        let json = serde_json::to_value(service.models()).unwrap();
        assert_eq!(
            (json[0]["state"].as_str(), json[0]["reason"].as_str()),
            (Some("failed"), Some("broken"))
        );
        assert_eq!(
            service.model_report("b").unwrap_err().code(),
            "model_not_found"
        );
    }
}
