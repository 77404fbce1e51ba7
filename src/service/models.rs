//! What can be known of the models from outside.

use serde::Serialize;

use super::Service;
use crate::error::ServiceError;
use crate::repository::{DefaultModel, ModelState};
use crate::task::Task;

/// One model as GET /models shows it. What is known only of a loaded model is absent from the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// What it does, where it is known yet.
    pub task: Option<Task>,
    /// Its versions; a folder without numbered versions is version 1.
    pub versions: Vec<String>,
    /// `loading`, `ready` or `failed`.
    pub state: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether its task's route uses it when a request names no model.
    pub default: bool,
    /// What the files can only say once they are loaded.
    #[serde(flatten)]
    pub details: Option<ModelDetails>,
}

/// What is known of a loaded model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelDetails {
    /// `fp32`, `fp16` or `int8`.
    pub precision: String,
    /// What computes it: `cpu`, `cuda:0`.
    pub device: String,
    /// `packed` or `padded`.
    pub layout: String,
    /// Longest sequence in tokens, special ones included.
    pub max_tokens: usize,
    /// Its labels in the order of its scores.
    pub labels: Vec<String>,
    /// The graph's inputs.
    pub inputs: Vec<TensorReport>,
    /// Bytes of its files.
    pub size_bytes: u64,
}

/// One input of a graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: String,
    /// Its dimensions; -1 where any length will do.
    pub shape: Vec<i64>,
}

impl Service {
    /// All models by name.
    #[must_use]
    pub fn models(&self) -> Vec<ModelReport> {
        self.repository()
            .names()
            .filter_map(|name| self.report(name))
            .collect()
    }

    /// One model.
    ///
    /// # Errors
    /// [`ServiceError::ModelNotFound`].
    pub fn model_report(&self, name: &str) -> Result<ModelReport, ServiceError> {
        self.report(name)
            .ok_or_else(|| ServiceError::ModelNotFound {
                name: name.to_owned(),
                available: self.repository().names().map(str::to_owned).collect(),
            })
    }

    fn report(&self, name: &str) -> Option<ModelReport> {
        let repository = self.repository();
        let (state, reason, details) = match repository.state(name)? {
            ModelState::Loading => ("loading", None, None),
            ModelState::Failed { reason } => ("failed", Some(reason), None),
            ModelState::Ready(model) => {
                let info = &model.info;
                let details = ModelDetails {
                    precision: info.precision.to_string(),
                    device: info.device.to_string(),
                    layout: info.layout.to_string(),
                    max_tokens: info.max_tokens,
                    labels: info.labels.clone(),
                    inputs: info.inputs.iter().map(TensorReport::from).collect(),
                    size_bytes: info.size_bytes,
                };
                ("ready", None, Some(details))
            }
        };
        let task = repository.task(name);
        let default =
            task.is_some_and(|task| repository.default_model(task) == DefaultModel::Is(name));
        Some(ModelReport {
            name: name.to_owned(),
            task,
            versions: vec!["1".to_owned()],
            state,
            reason,
            default,
            details,
        })
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
    use crate::service::testing::{Fixture, loading_service};

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

    #[test]
    fn a_failed_model_is_listed_with_its_reason() {
        let service = loading_service(&["a"]);
        service.repository().set_state(
            "a",
            ModelState::Failed {
                reason: "broken".into(),
            },
        );
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
