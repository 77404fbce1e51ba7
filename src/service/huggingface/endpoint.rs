//! Health and metadata of a model, as Hugging Face's clients read them from an endpoint.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::Service;
use super::super::models::PRECISIONS;
use crate::error::ServiceError;
use crate::task::Task;

/// A model's metadata, as an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EndpointInfo {
    /// The model's name.
    pub model_id: String,
    /// The version's number.
    pub version: String,
    /// The hub's name of the task. There is no pipeline for replaced-token-detection.
    #[schemars(extend("enum" = Task::ALL.map(hub_task)))]
    pub task: &'static str,
    /// The number format of the graph.
    #[schemars(extend("enum" = PRECISIONS))]
    pub precision: String,
    /// The device that runs the model, such as `cpu`, `cuda:0` or `tensorrt:0`.
    pub device: String,
    /// The length of the longest sequence in tokens, special tokens included.
    pub max_tokens: usize,
    /// The labels, in the order of the model's outputs.
    pub labels: Vec<String>,
    /// The checkpoint that the model was pulled from. Absent if it was not pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Service {
    /// Checks that a model answers requests.
    ///
    /// # Errors
    /// The reason, if it does not.
    pub fn endpoint_health(&self, name: &str) -> Result<(), ServiceError> {
        self.refuse_when_stopping()?;
        self.loaded_model(name).map(|_| ())
    }

    /// Metadata of a model.
    ///
    /// # Errors
    /// If there is no such model, or it is not loaded.
    pub fn endpoint_info(&self, name: &str) -> Result<EndpointInfo, ServiceError> {
        let model = self.loaded_model(name)?;
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
