//! Parameters as protobuf has them -> the service's.

use std::collections::HashMap;

use crate::error::ServiceError;
use crate::grpc::proto::inference as proto;
use crate::service::inference::{ParameterValue, Parameters};

/// Those of a request or an output.
pub fn of_inference(
    parameters: HashMap<String, proto::InferParameter>,
) -> Result<Parameters, ServiceError> {
    use proto::infer_parameter::ParameterChoice;
    read(parameters, |parameter| {
        Some(match parameter.parameter_choice? {
            ParameterChoice::BoolParam(value) => ParameterValue::Bool(value),
            ParameterChoice::Int64Param(number) => ParameterValue::Int64(number),
            ParameterChoice::Uint64Param(number) => ParameterValue::Uint64(number),
            ParameterChoice::DoubleParam(number) => ParameterValue::Double(number),
            ParameterChoice::StringParam(text) => ParameterValue::String(text),
        })
    })
}

/// Those of the model repository, where bytes, of which files are made, are as good as a text: neither is taken.
pub fn of_repository(
    parameters: HashMap<String, proto::ModelRepositoryParameter>,
) -> Result<Parameters, ServiceError> {
    use proto::model_repository_parameter::ParameterChoice;
    read(parameters, |parameter| {
        Some(match parameter.parameter_choice? {
            ParameterChoice::BoolParam(value) => ParameterValue::Bool(value),
            ParameterChoice::Int64Param(number) => ParameterValue::Int64(number),
            ParameterChoice::StringParam(text) => ParameterValue::String(text),
            ParameterChoice::BytesParam(_) => ParameterValue::String(String::new()),
        })
    })
}

fn read<P>(
    parameters: HashMap<String, P>,
    value: impl Fn(P) -> Option<ParameterValue>,
) -> Result<Parameters, ServiceError> {
    let named = |(name, parameter)| match value(parameter) {
        Some(value) => Ok((name, value)),
        None => Err(ServiceError::InvalidValue {
            place: format!("`parameters.{name}`"),
            reason: "it has no value of a type that this server knows".to_owned(),
        }),
    };
    parameters.into_iter().map(named).collect()
}
