//! Assembles the operators' domain and registers it with ONNX Runtime.

use ort::environment::Environment;
use ort::operator::OperatorDomain;
use ort::session::Session;
use prost::Message as _;

use super::activation::Activate;
use super::attention::Attention;
use super::declaration::OutputTypes;
use super::linear::{IntegerLinear, Linear};
use super::normalization::AddNormalize;
use super::quantization::Quantize;
use crate::activation::Activation;
use crate::engine::linear_weights::LinearWeights;
use crate::export::graph::fused::DOMAIN;
use crate::inference::Cores;
use crate::onnx::{
    DataType, Graph, IR_VERSION, Model, OPSET, OperatorSet, Shape, TensorType, Type, ValueInfo,
};

/// Builds the domain of all operators with these weights. They run on the caller's thread, or also on the runtime's
/// pool.
pub fn domain(cores: Cores, weights: &LinearWeights) -> ort::Result<OperatorDomain> {
    let mut domain = OperatorDomain::new(DOMAIN)?
        .add(Linear::new(cores, weights.clone()))?
        .add(IntegerLinear::new(cores, weights.clone()))?
        .add(Quantize::new(cores))?;
    for results in [OutputTypes::Floats, OutputTypes::Bytes] {
        domain = domain
            .add(Attention::new(cores, results))?
            .add(AddNormalize::new(cores, results))?;
        for activation in Activation::ALL {
            domain = domain.add(Activate::new(cores, results, activation))?;
        }
    }
    Ok(domain)
}

/// Opens a session of an identity graph, so that ONNX Runtime knows the domain from then on. ONNX Runtime registers a
/// domain for the whole process with the first session that uses it, without a lock. If two threads did so at once, one
/// would get the error that the domain already exists.
///
/// # Errors
/// ONNX Runtime's error.
pub fn register_domain(environment: &Environment) -> ort::Result<()> {
    let value = ValueInfo {
        name: "value".to_owned(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: DataType::Float.into(),
                shape: Some(Shape::default()),
            }),
        }),
    };
    let unchanged = Model {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: OPSET,
        }],
        graph: Some(Graph {
            name: DOMAIN.to_owned(),
            input: vec![value.clone()],
            output: vec![value],
            ..Graph::default()
        }),
        ..Model::default()
    };
    let operators = domain(Cores::One, &LinearWeights::default())?;
    Session::builder(environment)?
        .with_operators(operators)?
        .commit_from_memory(&unchanged.encode_to_vec())?;
    Ok(())
}
