//! The Open Inference Protocol over gRPC, with tonic's client.

use electra_server::grpc::proto::inference as proto;
use electra_server::grpc::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use electra_server::grpc::proto::inference::infer_parameter::ParameterChoice;
use electra_server::grpc::proto::inference::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use serde_json::Value;

use super::Outcome;
use super::electra_v1::code;
use super::inference::{Tensors, answered};
use super::table::Case;
use crate::harness::Server;

pub async fn send(server: &Server, cases: &[Case]) -> Vec<Outcome> {
    let mut client = GrpcInferenceServiceClient::new(server.grpc_channel().await);
    let mut outcomes = Vec::new();
    for case in cases {
        outcomes.push(match client.model_infer(request(case.into())).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let rows = rows(&answer.raw_output_contents[0]);
                let rows = rows.iter().map(String::as_str);
                Ok(answered(&answer.model_name, rows))
            }
            Err(status) => Err(code(&status)),
        });
    }
    outcomes
}

fn request(tensors: Tensors) -> proto::ModelInferRequest {
    let input = |(name, texts): (&str, Vec<String>)| InferInputTensor {
        name: name.to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![i64::try_from(texts.len()).expect("few"), 1],
        contents: Some(proto::InferTensorContents {
            bytes_contents: texts.into_iter().map(Into::into).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let output = InferRequestedOutputTensor {
        name: "result".to_owned(),
        ..Default::default()
    };
    let parameters = tensors.parameters.into_iter();
    proto::ModelInferRequest {
        model_name: tensors.model,
        parameters: parameters
            .map(|(name, value)| (name, parameter(&value)))
            .collect(),
        inputs: tensors.inputs.into_iter().map(input).collect(),
        outputs: vec![output],
        ..Default::default()
    }
}

fn parameter(value: &Value) -> proto::InferParameter {
    let choice = match value {
        Value::Bool(truth) => ParameterChoice::BoolParam(*truth),
        Value::String(text) => ParameterChoice::StringParam(text.clone()),
        Value::Number(number) => number.as_i64().map_or_else(
            || ParameterChoice::DoubleParam(number.as_f64().expect("a number")),
            ParameterChoice::Int64Param,
        ),
        other => panic!("{other} is no parameter"),
    };
    proto::InferParameter {
        parameter_choice: Some(choice),
    }
}

/// The rows of a raw BYTES tensor, each prefixed with its length.
fn rows(mut raw: &[u8]) -> Vec<String> {
    let mut rows = Vec::new();
    while let Some((length, rest)) = raw.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).expect("few");
        let (row, rest) = rest.split_at(length);
        rows.push(String::from_utf8(row.to_vec()).expect("UTF-8"));
        raw = rest;
    }
    rows
}
