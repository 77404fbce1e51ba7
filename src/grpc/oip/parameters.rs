//! Conversion of protobuf parameters to the service's.

use std::collections::HashMap;

use crate::grpc::proto::inference as proto;
use crate::service::oip::{ParameterValue, Parameters};

/// Parameters of a request, an input or an output.
pub fn of_infer(parameters: HashMap<String, proto::InferParameter>) -> Parameters {
    use proto::infer_parameter::ParameterChoice;
    let value = |parameter: proto::InferParameter| match parameter.parameter_choice {
        Some(ParameterChoice::BoolParam(value)) => ParameterValue::Bool(value),
        Some(ParameterChoice::Int64Param(number)) => ParameterValue::Int64(number),
        Some(ParameterChoice::Uint64Param(number)) => ParameterValue::Uint64(number),
        Some(ParameterChoice::DoubleParam(number)) => ParameterValue::Double(number),
        Some(ParameterChoice::StringParam(text)) => ParameterValue::String(text),
        None => ParameterValue::Other,
    };
    let named = |(name, parameter)| (name, value(parameter));
    parameters.into_iter().map(named).collect()
}

/// Parameters of the model repository extension.
pub fn of_repository(parameters: HashMap<String, proto::ModelRepositoryParameter>) -> Parameters {
    use proto::model_repository_parameter::ParameterChoice;
    let value = |parameter: proto::ModelRepositoryParameter| match parameter.parameter_choice {
        Some(ParameterChoice::BoolParam(value)) => ParameterValue::Bool(value),
        Some(ParameterChoice::Int64Param(number)) => ParameterValue::Int64(number),
        Some(ParameterChoice::StringParam(text)) => ParameterValue::String(text),
        Some(ParameterChoice::BytesParam(_)) | None => ParameterValue::Other,
    };
    let named = |(name, parameter)| (name, value(parameter));
    parameters.into_iter().map(named).collect()
}
