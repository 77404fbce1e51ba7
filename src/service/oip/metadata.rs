//! Metadata and configuration of the server and its models.

use schemars::JsonSchema;
use serde::Serialize;

use super::names::{self, Row};
use super::tensor::Datatype;
use crate::error::ServiceError;
use crate::model_folder::Address;
use crate::numbers::signed;
use crate::registry::LoadedModel;
use crate::service::Service;

/// The protocol's name for models in ONNX format.
const PLATFORM: &str = "onnx_onnxv1";
const BACKEND: &str = "onnxruntime";

/// The server's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServerMetadata {
    /// The server's name.
    #[schemars(extend("const" = "electra"))]
    pub name: &'static str,
    /// The server's version.
    pub version: &'static str,
    /// The protocol extensions that the server supports.
    pub extensions: &'static [&'static str],
}

/// A model's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModelMetadata {
    /// The model's name, never an alias.
    pub name: String,
    /// The versions that answer requests, in ascending order. If the path names a version, only that one.
    pub versions: Vec<String>,
    /// The protocol's name for models in ONNX format.
    #[schemars(extend("const" = PLATFORM))]
    pub platform: &'static str,
    /// The input tensors: texts first, then token ids. A request sends one or the other.
    pub inputs: Vec<TensorMetadata>,
    /// The output tensors: results first, which are returned for texts, then logits, which are returned for token ids.
    pub outputs: Vec<TensorMetadata>,
}

/// A tensor's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TensorMetadata {
    /// The tensor's name.
    pub name: &'static str,
    /// The type of the elements.
    #[schemars(with = "Datatype")]
    pub datatype: &'static str,
    /// The dimensions, batch first. -1 stands for any length.
    #[schemars(inner(range(min = -1)))]
    pub shape: Vec<i64>,
}

/// A model's configuration, in Triton's format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ModelConfig")]
pub struct TritonConfig {
    /// The model's name.
    pub name: String,
    /// The protocol's name for models in ONNX format.
    #[schemars(extend("const" = PLATFORM))]
    pub platform: &'static str,
    /// Triton's name for the runtime of ONNX models.
    #[schemars(extend("const" = BACKEND))]
    pub backend: &'static str,
    /// The maximum number of inputs per request.
    #[schemars(range(min = 0))]
    pub max_batch_size: i64,
    /// The input tensors.
    pub input: Vec<ConfigTensor>,
    /// The output tensors.
    pub output: Vec<ConfigTensor>,
    /// Present because requests are batched together.
    pub dynamic_batching: DynamicBatching,
}

/// How requests are batched. There are no settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DynamicBatching {}

/// A tensor in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigTensor {
    /// The tensor's name.
    pub name: &'static str,
    /// The type of the elements, such as `TYPE_STRING`.
    pub data_type: &'static str,
    /// The dimensions, without the batch. -1 stands for any length.
    #[schemars(inner(range(min = -1)))]
    pub dims: Vec<i64>,
    /// Present if a request may omit the tensor.
    #[schemars(extend("const" = true))]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl Service {
    #[must_use]
    pub fn server_metadata(&self) -> ServerMetadata {
        ServerMetadata {
            name: "electra",
            version: env!("CARGO_PKG_VERSION"),
            extensions: &[
                "binary_tensor_data",
                "model_configuration",
                "model_repository",
                "parameters",
                "statistics",
            ],
        }
    }

    /// Inputs and outputs of a model.
    ///
    /// # Errors
    /// If the model cannot answer requests.
    pub fn model_metadata(&self, address: &str) -> Result<ModelMetadata, ServiceError> {
        let model = self.loaded_model(address)?;
        let inputs = names::inputs(model.info.task);
        Ok(ModelMetadata {
            name: model.info.name.clone(),
            versions: self.ready_versions(address, &model),
            platform: PLATFORM,
            inputs: inputs
                .iter()
                .map(|named| tensor_metadata(named, &model))
                .collect(),
            outputs: names::outputs(model.info.task)
                .iter()
                .map(|named| tensor_metadata(named, &model))
                .collect(),
        })
    }

    /// The configuration of a model.
    ///
    /// # Errors
    /// If the model cannot answer requests.
    pub fn model_config(&self, address: &str) -> Result<TritonConfig, ServiceError> {
        let model = self.loaded_model(address)?;
        let tensor = |named: &names::TensorDescription, optional: bool| ConfigTensor {
            name: named.name,
            data_type: named.datatype.config_name(),
            dims: dimensions(named.row, &model),
            optional,
        };
        Ok(TritonConfig {
            name: model.info.name.clone(),
            platform: PLATFORM,
            backend: BACKEND,
            max_batch_size: signed(model.info.limits.max_inputs),
            input: names::inputs(model.info.task)
                .iter()
                // Every input is optional: a request sends texts or token ids, and clients require all inputs that are
                // not optional.
                .map(|named| tensor(named, true))
                .collect(),
            output: names::outputs(model.info.task)
                .iter()
                .map(|named| tensor(named, false))
                .collect(),
            dynamic_batching: DynamicBatching {},
        })
    }

    /// Checks that a model can answer requests.
    ///
    /// # Errors
    /// The reason, if it cannot.
    pub fn model_readiness(&self, address: &str) -> Result<(), ServiceError> {
        self.refuse_when_stopping()?;
        self.loaded_model(address).map(drop)
    }

    fn ready_versions(&self, address: &str, model: &LoadedModel) -> Vec<String> {
        let status = self.registry().status(address);
        match status.filter(|_| Address::from(address).version.is_none()) {
            Some(status) => status
                .versions
                .iter()
                .filter(|(_, version)| version.state.model().is_some())
                .map(|(version, _)| version.to_string())
                .collect(),
            None => vec![model.info.version.to_string()],
        }
    }
}

fn tensor_metadata(named: &names::TensorDescription, model: &LoadedModel) -> TensorMetadata {
    let mut shape = dimensions(named.row, model);
    shape.insert(0, -1);
    TensorMetadata {
        name: named.name,
        datatype: named.datatype.name(),
        shape,
    }
}

fn dimensions(row: Row, model: &LoadedModel) -> Vec<i64> {
    let labels = signed(model.info.labels.len());
    match row {
        Row::One => vec![1],
        Row::Longest => vec![-1],
        Row::Labels => vec![labels],
        Row::LongestByLabels => vec![-1, labels],
    }
}
