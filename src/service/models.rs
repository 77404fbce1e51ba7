//! State and metadata of the models, and loading and unloading them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::Service;
use crate::access::Requester;
use crate::error::ServiceError;
use crate::model_folder::Version;
use crate::quote::quoted;
use crate::registry::{ControlError, DefaultModel, ModelInfo, ModelStatus, VersionState};
use crate::task::Task;

/// The names of version states.
const STATES: [&str; 4] = ["loading", "ready", "failed", "unloaded"];
/// The names of number formats.
pub(super) const PRECISIONS: [&str; 3] = ["fp32", "fp16", "int8"];

/// A model. Fields that are known only for loaded models are absent from other models.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Model")]
pub struct ModelReport {
    /// The model's name.
    pub name: String,
    /// The model's task, or null if it is not known yet.
    pub task: Option<Task>,
    /// Other names of the model, accepted in requests.
    pub aliases: Vec<String>,
    /// The model's versions, in ascending order. A folder without numbered versions is version 1.
    pub versions: Vec<String>,
    /// The version that answers requests that name no version. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The state of the version that answers such requests, or that should answer them.
    #[schemars(extend("enum" = STATES))]
    pub state: &'static str,
    /// Why the model's current files could not be loaded. Files loaded earlier may still be serving. If several
    /// versions failed, the reason for the highest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The state of each version, in the order of `versions`.
    pub version_states: Vec<VersionReport>,
    /// Whether the model answers requests to its task's route that name no model.
    pub default: bool,
    /// Known only once the model is loaded.
    #[serde(flatten)]
    pub details: Option<ModelDetails>,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ModelVersion")]
pub struct VersionReport {
    /// The version's number.
    pub version: String,
    /// The version's state.
    #[schemars(extend("enum" = STATES))]
    pub state: &'static str,
    /// Why the version's current files could not be loaded. If the version is ready, it serves the files that were
    /// loaded earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The number format of the graph. Present only if the version is loaded.
    #[schemars(extend("enum" = PRECISIONS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// The size of the version's files, in bytes. Present only if the version is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// Details of a loaded model.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ModelDetails {
    /// The number format of the graph.
    #[schemars(extend("enum" = PRECISIONS))]
    pub precision: String,
    /// The device that runs the model, such as `cpu`, `cuda:0` or `tensorrt:0`.
    pub device: String,
    /// How sequences share a batch: packed back to back, or padded to the longest.
    #[schemars(extend("enum" = ["packed", "padded"]))]
    pub layout: String,
    /// The length of the longest sequence in tokens, special tokens included.
    pub max_tokens: usize,
    /// The labels, in the order of the model's outputs.
    pub labels: Vec<String>,
    /// The graph's inputs.
    pub inputs: Vec<TensorReport>,
    /// The size of the model's files, in bytes.
    pub size_bytes: u64,
    /// The checkpoint that the model was pulled from. Absent if it was not pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// An input of a graph.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "GraphInput")]
pub struct TensorReport {
    /// The input's name.
    pub name: String,
    /// The type of the elements, as named in the Open Inference Protocol.
    pub datatype: String,
    /// The dimensions. -1 stands for any length.
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

    /// One model, by name or alias.
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
    pub async fn load_model(&self, name: &str, by: &Requester) -> Result<(), ServiceError> {
        self.refuse_when_draining()?;
        let outcome = self.controlled(name, self.shared.control.load(name).await);
        log_control("load", name, by, &outcome);
        outcome
    }

    /// Unloads a model until it is loaded again. Requests it has accepted are still answered.
    ///
    /// # Errors
    /// [`ServiceError::ModelNotFound`], [`ServiceError::Draining`].
    pub async fn unload_model(&self, name: &str, by: &Requester) -> Result<(), ServiceError> {
        self.refuse_when_draining()?;
        let outcome = self.controlled(name, self.shared.control.unload(name).await);
        log_control("unload", name, by, &outcome);
        outcome
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
            self.registry().default_model(task) == DefaultModel::Known(Arc::clone(&status.name))
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

/// Logs who had a model loaded or unloaded, and what came of it.
fn log_control(act: &'static str, model: &str, by: &Requester, outcome: &Result<(), ServiceError>) {
    let key = by.key_name().unwrap_or("none");
    let outcome = outcome
        .as_ref()
        .map_or_else(ServiceError::code, |()| "done");
    let model = quoted(model).to_string();
    // Escaped: a name from a path may hold line ends.
    tracing::info!(act, ?model, key, from = %by.address(), outcome, "administration");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Fixture, fail, loading_service};
    use crate::stage::Stage;

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
        let refusal = fixture
            .service
            .load_model("model", &Requester::default())
            .await
            .unwrap_err();
        assert_eq!(refusal.code(), "draining");
        fixture.service.enter(Stage::Draining);
        for outcome in [
            fixture
                .service
                .load_model("model", &Requester::default())
                .await,
            fixture
                .service
                .unload_model("model", &Requester::default())
                .await,
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
