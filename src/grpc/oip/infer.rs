//! Conversion of `ModelInfer`'s messages: tensors of typed elements or raw data in, raw data out. Pure.

use prost::Message;

use super::parameters::of_infer;
use crate::error::ServiceError;
use crate::grpc::proto::inference as proto;
use crate::service::oip::{
    Datatype, InferRequest, InferResponse, RequestedOutput, Tensor, TensorData, address,
    binary_data_size,
};

type Input = proto::model_infer_request::InferInputTensor;
type Output = proto::model_infer_response::InferOutputTensor;
type Contents = proto::InferTensorContents;

/// Memory of a string beside its bytes, in a list that may have twice the room it needs.
const STRING_MEMORY: usize = 48;
/// Memory of an empty parameter, input or output.
const PARAMETER_MEMORY: usize = 256;

/// Size of a request in bytes.
pub fn size(request: &proto::ModelInferRequest) -> usize {
    request.encoded_len()
}

/// How much memory a request and the tensors made of it take, at most.
pub fn memory(request: &proto::ModelInferRequest) -> usize {
    let contents = |input: &Input| {
        let contents = input.contents.as_ref();
        contents.map_or(0, |contents| contents.bytes_contents.len())
    };
    let typed: usize = request.inputs.iter().map(contents).sum();
    let raw: usize = request.raw_input_contents.iter().map(Vec::len).sum();
    // A length of four bytes precedes each string in raw data.
    let strings = typed + raw / 4;
    let parameters = request.parameters.len() + request.inputs.len() + request.outputs.len();
    size(request) * 2 + strings * STRING_MEMORY + parameters * PARAMETER_MEMORY
}

/// Converts a request.
///
/// # Errors
/// If a tensor or a parameter is invalid.
pub fn read(request: proto::ModelInferRequest) -> Result<InferRequest, ServiceError> {
    let model = address(&request.model_name, &request.model_version).into_owned();
    let outputs = request
        .outputs
        .into_iter()
        .map(|output| RequestedOutput::new(output.name, &of_infer(output.parameters)));
    Ok(InferRequest {
        model,
        id: Some(request.id).filter(|id| !id.is_empty()),
        parameters: of_infer(request.parameters),
        inputs: inputs(request.inputs, request.raw_input_contents)?,
        outputs: outputs.collect::<Result<_, ServiceError>>()?,
    })
}

/// Converts the inputs. Their elements are either all raw or all typed.
fn inputs(inputs: Vec<Input>, raw: Vec<Vec<u8>>) -> Result<Vec<Tensor>, ServiceError> {
    if raw.is_empty() {
        let typed = inputs.into_iter().enumerate();
        return typed
            .map(|(index, input)| typed_tensor(index, input))
            .collect();
    }
    if raw.len() != inputs.len() {
        return Err(ServiceError::InvalidValue {
            place: "`raw_input_contents`".to_owned(),
            reason: format!(
                "it holds {} tensors and `inputs` {}; send one for each input, in their order, or none",
                raw.len(),
                inputs.len()
            ),
        });
    }
    let tensors = inputs.into_iter().zip(raw).enumerate();
    let tensor = |(index, (mut input, raw)): (usize, (Input, Vec<u8>))| {
        let datatype = datatype(index, &mut input, Some(&raw))?;
        if input
            .contents
            .is_some_and(|contents| contents != Contents::default())
        {
            let reason =
                "it is sent together with `raw_input_contents`; send one or the other".to_owned();
            return Err(refused(index, "contents", reason));
        }
        Tensor::from_raw(input.name, datatype, input.shape, &raw)
    };
    tensors.map(tensor).collect()
}

fn typed_tensor(index: usize, mut input: Input) -> Result<Tensor, ServiceError> {
    let datatype = datatype(index, &mut input, None)?;
    let mut contents = input.contents.unwrap_or_default();
    let (field, data) = match datatype {
        Datatype::Bool => (
            "bool_contents",
            TensorData::Bool(std::mem::take(&mut contents.bool_contents)),
        ),
        Datatype::Int32 => (
            "int_contents",
            TensorData::Int32(std::mem::take(&mut contents.int_contents)),
        ),
        Datatype::Int64 => (
            "int64_contents",
            TensorData::Int64(std::mem::take(&mut contents.int64_contents)),
        ),
        Datatype::Fp32 => (
            "fp32_contents",
            TensorData::Fp32(std::mem::take(&mut contents.fp32_contents)),
        ),
        Datatype::Bytes => (
            "bytes_contents",
            TensorData::Bytes(std::mem::take(&mut contents.bytes_contents)),
        ),
    };
    if contents != Contents::default() {
        let reason = format!("its elements are {datatype}, which belong only in `{field}`");
        return Err(refused(index, "contents", reason));
    }
    Tensor::new(input.name, input.shape, data)
}

/// The datatype of an input. Clients may send the size of its raw data too, which only HTTP needs; it must then be
/// correct.
fn datatype(index: usize, input: &mut Input, raw: Option<&[u8]>) -> Result<Datatype, ServiceError> {
    let parameters = of_infer(std::mem::take(&mut input.parameters));
    let said = binary_data_size(&input.name, &parameters)?;
    let size = raw.map_or(0, <[u8]>::len);
    if let Some(said) = said.filter(|said| *said != size) {
        let reason = format!("it says {said} bytes, and the input's raw data has {size}");
        return Err(refused(index, "parameters.binary_data_size", reason));
    }
    let parsed = input.datatype.parse();
    parsed.map_err(|reason| refused(index, "datatype", reason))
}

fn refused(index: usize, field: &str, reason: String) -> ServiceError {
    ServiceError::InvalidValue {
        place: format!("`inputs[{index}].{field}`"),
        reason,
    }
}

/// Converts a response. Its tensors are raw, because clients read no other form.
pub fn write(response: InferResponse) -> proto::ModelInferResponse {
    let raw_output_contents = response
        .outputs
        .iter()
        .map(|output| output.data().to_raw())
        .collect();
    let output = |output: &Tensor| Output {
        name: output.name().to_owned(),
        datatype: output.data().datatype().name().to_owned(),
        shape: output.shape().to_vec(),
        ..Output::default()
    };
    proto::ModelInferResponse {
        outputs: response.outputs.iter().map(output).collect(),
        model_name: response.model_name,
        model_version: response.model_version,
        id: response.id.unwrap_or_default(),
        raw_output_contents,
        ..proto::ModelInferResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(datatype: &str, shape: &[i64], contents: Option<Contents>) -> Input {
        Input {
            name: "input_ids".to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            contents,
            ..Input::default()
        }
    }

    fn request(input: Input, raw: Vec<Vec<u8>>) -> proto::ModelInferRequest {
        proto::ModelInferRequest {
            model_name: "m".to_owned(),
            inputs: vec![input],
            raw_input_contents: raw,
            ..Default::default()
        }
    }

    #[test]
    fn typed_and_raw_elements_are_the_same_tensor() {
        let int64 = Contents {
            int64_contents: vec![1, -2],
            ..Default::default()
        };
        let int32 = Contents {
            int_contents: vec![7],
            ..Default::default()
        };
        let bytes = Contents {
            bytes_contents: vec![b"ab".to_vec()],
            ..Default::default()
        };
        let raw_int64 = [1_i64.to_le_bytes(), (-2_i64).to_le_bytes()].concat();
        for (datatype, shape, contents, raw) in [
            ("INT64", &[1, 2][..], int64, raw_int64),
            ("INT32", &[1], int32, vec![7, 0, 0, 0]),
            ("BYTES", &[1], bytes, b"\x02\0\0\0ab".to_vec()),
        ] {
            let typed = read(request(input(datatype, shape, Some(contents)), vec![])).unwrap();
            let raw = read(request(input(datatype, shape, None), vec![raw])).unwrap();
            assert_eq!(typed.inputs, raw.inputs);
            assert_eq!(typed.inputs[0].data().datatype().name(), datatype);
        }
    }

    #[test]
    fn what_does_not_agree_is_refused() {
        let both = Contents {
            int64_contents: vec![1],
            fp32_contents: vec![1.0],
            ..Default::default()
        };
        let one = Contents {
            int64_contents: vec![1],
            ..Default::default()
        };
        let raw = 1_i64.to_le_bytes().to_vec();
        let with = |parameter: &str, number: i64| {
            let number = proto::infer_parameter::ParameterChoice::Int64Param(number);
            let number = proto::InferParameter {
                parameter_choice: Some(number),
            };
            let mut input = input("INT64", &[1], None);
            input.parameters.insert(parameter.to_owned(), number);
            input
        };
        let sized = request(with("binary_data_size", 8), vec![raw.clone()]);
        assert!(read(sized).is_ok(), "it repeats the size of the raw data");
        for (request, code) in [
            (
                request(input("INT64", &[1], Some(both)), vec![]),
                "invalid_value",
            ),
            (
                request(input("INT64", &[2], Some(one.clone())), vec![]),
                "invalid_value",
            ),
            (request(input("INT64", &[1], None), vec![]), "invalid_value"),
            (
                request(input("FP16", &[1], None), vec![raw.clone()]),
                "invalid_value",
            ),
            (
                request(input("INT64", &[1], Some(one)), vec![raw.clone()]),
                "invalid_value",
            ),
            (
                request(input("INT64", &[1], None), vec![raw.clone(), raw.clone()]),
                "invalid_value",
            ),
            (
                request(with("shared_memory_byte_size", 8), vec![raw.clone()]),
                "unknown_field",
            ),
            (
                request(with("binary_data_size", 9), vec![raw.clone()]),
                "invalid_value",
            ),
            (
                request(with("binary_data_size", 8), vec![]),
                "invalid_value",
            ),
        ] {
            let error = read(request).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
        }
    }
}
