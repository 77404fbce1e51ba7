//! Reads the body of an inference request: JSON, then the inputs' binary data. Pure.

use serde::Deserialize;
use serde_json::Value;

use super::{Addressed, data};
use crate::error::ServiceError;
use crate::quote::quoted;
use crate::service::oip::{
    Datatype, InferRequest, Parameters, RequestedOutput, Tensor, binary_data_size,
};
use crate::service::{json, objects};

/// Memory per byte of binary data, at most: an empty string is four bytes there, a `Vec` of 24 here, and its list may
/// have twice the room that it needs.
const BINARY_MEMORY: usize = 12;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestJson {
    id: Option<String>,
    /// Some clients repeat the model of the path here. It must be the same.
    model_name: Option<String>,
    model_version: Option<String>,
    parameters: Option<Parameters>,
    #[serde(default, deserialize_with = "objects")]
    inputs: Option<Vec<InputJson>>,
    #[serde(default, deserialize_with = "objects")]
    outputs: Option<Vec<OutputJson>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputJson {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    parameters: Option<Parameters>,
    data: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputJson {
    name: String,
    parameters: Option<Parameters>,
}

/// Reads a body whose first `json_length` bytes are JSON. Without a length, the whole body is JSON.
///
/// # Errors
/// If the JSON, a tensor, or the binary data is invalid.
pub fn read(
    model: &Addressed,
    body: &[u8],
    json_length: Option<usize>,
) -> Result<InferRequest, ServiceError> {
    let length = json_length.unwrap_or(body.len());
    let (document, mut binary) = body.split_at_checked(length).unwrap_or((body, &[]));
    let request: RequestJson = json::parse(document)?;
    check_repeated("model_name", request.model_name, &model.name)?;
    let version = model.address.strip_prefix(&model.name);
    let version = version.and_then(|rest| rest.strip_prefix('@'));
    if let Some(version) = version {
        check_repeated("model_version", request.model_version, version)?;
    }
    let inputs = request.inputs.ok_or_else(|| ServiceError::MissingField {
        place: "The body".to_owned(),
        field: "inputs".to_owned(),
    })?;
    let inputs = inputs
        .into_iter()
        .enumerate()
        .map(|(index, input)| tensor(index, input, &mut binary))
        .collect::<Result<_, _>>()?;
    if !binary.is_empty() {
        return Err(ServiceError::InvalidValue {
            place: "The body".to_owned(),
            reason: format!(
                "{} bytes of binary data after its JSON belong to no input; each input gives the size of its data \
                 in the parameter `binary_data_size`",
                binary.len()
            ),
        });
    }
    let outputs = request.outputs.unwrap_or_default().into_iter();
    let output = |output: OutputJson| {
        RequestedOutput::new(output.name, &output.parameters.unwrap_or_default())
    };
    Ok(InferRequest {
        model: model.address.clone(),
        id: request.id.filter(|id| !id.is_empty()),
        parameters: request.parameters.unwrap_or_default(),
        inputs,
        outputs: outputs.map(output).collect::<Result<_, _>>()?,
    })
}

/// How much memory [`read`] may need for a body, at most.
pub fn memory(body: &[u8], json_length: Option<usize>) -> usize {
    let length = json_length.unwrap_or(body.len());
    let (document, binary) = body.split_at_checked(length).unwrap_or((body, &[]));
    json::memory(document) + binary.len() * BINARY_MEMORY
}

fn check_repeated(field: &str, found: Option<String>, wanted: &str) -> Result<(), ServiceError> {
    match found.filter(|found| !found.is_empty() && found != wanted) {
        None => Ok(()),
        Some(found) => Err(ServiceError::InvalidValue {
            place: format!("`{field}`"),
            reason: format!(
                "it is `{}`, and the path says `{}`",
                quoted(&found),
                quoted(wanted)
            ),
        }),
    }
}

/// Reads one input. Its data is in the JSON, or at the front of `binary`, from which it is removed.
fn tensor(index: usize, input: InputJson, binary: &mut &[u8]) -> Result<Tensor, ServiceError> {
    let refused = |field: &str, reason: String| {
        Err(ServiceError::InvalidValue {
            place: format!("`inputs[{index}].{field}`"),
            reason,
        })
    };
    let datatype: Datatype = match input.datatype.parse() {
        Ok(datatype) => datatype,
        Err(reason) => return refused("datatype", reason),
    };
    let size = binary_data_size(&input.name, &input.parameters.unwrap_or_default())?;
    match (input.data, size) {
        (Some(value), None) => {
            let place = format!("inputs[{index}].data");
            let data = data::read(value, datatype, &place)?;
            Tensor::new(input.name, input.shape, data)
        }
        (None, Some(size)) => match binary.split_at_checked(size) {
            Some((raw, rest)) => {
                *binary = rest;
                Tensor::from_raw(input.name, datatype, input.shape, raw)
            }
            None => refused(
                "parameters.binary_data_size",
                format!(
                    "it is {size}, and {} bytes are left after the JSON, whose own length the header \
                     Inference-Header-Content-Length must give",
                    binary.len()
                ),
            ),
        },
        (Some(_), Some(_)) => refused(
            "data",
            "it is sent together with `binary_data_size`; send one or the other".to_owned(),
        ),
        (None, None) => Err(ServiceError::MissingField {
            place: format!("`inputs[{index}]`"),
            field: "data".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
