//! Health and metadata of a model, as Hugging Face's clients read them from an endpoint.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::Service;
use super::super::models::PRECISIONS;
use crate::error::ServiceError;
use crate::task::Task;

/// What a model is, as an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EndpointInfo {
    /// The model's name.
    pub model_id: String,
    /// Which version of it.
    pub version: String,
    /// Its task as the hub names it; replaced-token-detection has no pipeline.
    #[schemars(extend("enum" = Task::ALL.map(hub_task)))]
    pub task: &'static str,
    /// The numbers its graph is of.
    #[schemars(extend("enum" = PRECISIONS))]
    pub precision: String,
    /// What computes it: `cpu`, `cuda:0`, `tensorrt:0`.
    pub device: String,
    /// The longest sequence in tokens, special ones included.
    pub max_tokens: usize,
    /// Its labels, in the order of its scores.
    pub labels: Vec<String>,
    /// The checkpoint that it was pulled from, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Service {
    /// Checks that a model answers requests.
    ///
    /// # Errors
    /// The reason, if it does not.
    pub fn endpoint_health(&self, name: &str) -> Result<(), ServiceError> {
        if self.is_draining() {
            return Err(ServiceError::Draining);
        }
        self.loaded(name).map(|_| ())
    }

    /// Metadata of a model.
    ///
    /// # Errors
    /// If there is no such model, or it is not loaded.
    pub fn endpoint_info(&self, name: &str) -> Result<EndpointInfo, ServiceError> {
        let model = self.loaded(name)?;
        let info = &model.info;
        Ok(EndpointInfo {
            model_id: info.name.clone(),
            version: info.version.to_string(),
            task: hub_task(info.task),
            precision: info.precision.to_string(),
            device: info.device.to_string(),
            max_tokens: info.max_tokens,
            labels: info.labels.clone(),
            source: info.source.clone(),
        })
    }
}

fn hub_task(task: Task) -> &'static str {
    match task {
        Task::Discriminate => "replaced-token-detection",
        Task::Classify => "text-classification",
        Task::Tag => "token-classification",
        Task::Qa => "question-answering",
    }
}
