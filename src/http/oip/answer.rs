//! Writes the answer to an inference request: JSON, then the outputs' binary data. Pure.

use serde::Serialize;

use super::data::Flat;
use crate::error::ServiceError;
use crate::service::oip::{InferRequest, InferResponse, Tensor, binary_data_output};

/// Which outputs to send as binary data.
pub struct Delivery {
    usual: bool,
    /// Outputs that override the request's default.
    named: Vec<(String, bool)>,
}

impl Delivery {
    /// Reads a request's parameters for binary outputs.
    ///
    /// # Errors
    /// [`ServiceError::InvalidType`] if a parameter is neither true nor false.
    pub fn of(request: &InferRequest) -> Result<Self, ServiceError> {
        let outputs = request.outputs.iter();
        Ok(Self {
            usual: binary_data_output(&request.parameters)?,
            named: outputs
                .filter_map(|output| Some((output.name.clone(), output.binary?)))
                .collect(),
        })
    }

    fn is_binary(&self, name: &str) -> bool {
        let named = self.named.iter().find(|(named, _)| named == name);
        named.map_or(self.usual, |(_, binary)| *binary)
    }
}

/// An answer's body.
pub struct Written {
    /// JSON, then binary data.
    pub body: Vec<u8>,
    /// Length of the JSON in bytes, if any output is binary. Binary outputs may be empty.
    pub json_length: Option<usize>,
}

#[derive(Serialize)]
struct ResponseJson<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<OutputJson<'a>>,
}

#[derive(Serialize)]
struct OutputJson<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [i64],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<OutputParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Flat<'a>>,
}

#[derive(Serialize)]
struct OutputParameters {
    binary_data_size: usize,
}

/// Writes an answer.
///
/// # Errors
/// [`ServiceError::Internal`] if serialization fails, which should not happen.
pub fn write(response: &InferResponse, delivery: &Delivery) -> Result<Written, ServiceError> {
    let mut binary = Vec::new();
    let mut outputs = Vec::with_capacity(response.outputs.len());
    let mut any = false;
    for tensor in &response.outputs {
        let raw = delivery.is_binary(tensor.name());
        any |= raw;
        let size = raw.then(|| {
            let raw = tensor.data().to_raw();
            binary.extend_from_slice(&raw);
            raw.len()
        });
        outputs.push(output(tensor, size));
    }
    let document = ResponseJson {
        model_name: &response.model_name,
        model_version: &response.model_version,
        id: response.id.as_deref(),
        outputs,
    };
    let mut body = serde_json::to_vec(&document).map_err(ServiceError::internal)?;
    let json_length = any.then_some(body.len());
    body.append(&mut binary);
    Ok(Written { body, json_length })
}

fn output(tensor: &Tensor, binary_data_size: Option<usize>) -> OutputJson<'_> {
    OutputJson {
        name: tensor.name(),
        datatype: tensor.data().datatype().name(),
        shape: tensor.shape(),
        parameters: binary_data_size.map(|binary_data_size| OutputParameters { binary_data_size }),
        data: binary_data_size.is_none().then(|| Flat(tensor.data())),
    }
}
