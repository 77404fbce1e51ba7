//! The operators of fused graphs, as ONNX Runtime calls them: adapters that take its tensors, call a kernel and fill its
//! tensors. `export::graph::fused` says what each takes and gives.

mod activation;
mod attention;
mod call;
mod linear;
mod normalization;
mod quantization;

use ort::environment::Environment;
use ort::operator::{
    FromKernelContext, KernelContext, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::session::Session;
use ort::value::TensorElementType;
use prost::Message as _;

use self::activation::Activate;
use self::attention::Attention;
use self::linear::{IntegerLinear, Linear};
use self::normalization::AddNormalize;
use self::quantization::Quantize;
use super::linear_weights::LinearWeights;
use crate::activation::Activation;
use crate::batch::Cores;
use crate::export::graph::fused::{DOMAIN, quantized};
use crate::onnx::{
    DataType, Graph, IR_VERSION, Model, OPSET, OperatorSet, Shape, TensorType, Type, ValueInfo,
};

/// All operators, multiplying with these weights, on the caller's thread alone or on those of the runtime's pool too.
pub fn domain(cores: Cores, weights: &LinearWeights) -> ort::Result<OperatorDomain> {
    let mut domain = OperatorDomain::new(DOMAIN)?
        .add(Linear::new(cores, weights.clone()))?
        .add(IntegerLinear::new(cores, weights.clone()))?
        .add(Quantize::new(cores))?;
    for results in [Results::Floats, Results::Bytes] {
        domain = domain
            .add(Attention::new(cores, results))?
            .add(AddNormalize::new(cores, results))?;
        for activation in Activation::ALL {
            domain = domain.add(Activate::new(cores, results, activation))?;
        }
    }
    Ok(domain)
}

/// Opens a session of a graph that gives out what it is given, for ONNX Runtime to know the domain from then on. It notes a
/// domain for the whole process when the first session that has it is opened, without a lock: of two threads that do so at
/// once, one gets the error that the domain is there already.
///
/// # Errors
/// What ONNX Runtime says.
pub fn make_known(environment: &Environment) -> ort::Result<()> {
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

/// What an operator gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Results {
    /// Rows of floats.
    Floats,
    /// Rows of bytes, and a scale for each.
    Bytes,
}

impl Results {
    /// The name of an operator that gives these.
    fn name(self, operator: &str) -> String {
        match self {
            Self::Floats => operator.to_owned(),
            Self::Bytes => quantized(operator),
        }
    }

    fn outputs(self) -> Vec<OperatorOutput> {
        match self {
            Self::Floats => vec![OperatorOutput::required(TensorElementType::Float32)],
            Self::Bytes => vec![
                OperatorOutput::required(TensorElementType::Uint8),
                OperatorOutput::required(TensorElementType::Float32),
            ],
        }
    }
}

fn floats() -> OperatorInput {
    OperatorInput::required(TensorElementType::Float32)
}

fn optional_floats() -> OperatorInput {
    OperatorInput::optional(TensorElementType::Float32)
}

/// A node's attribute, which must be there.
fn attribute<'attr, T: FromKernelContext<'attr>>(
    node: &KernelContext<'attr>,
    name: &str,
) -> ort::Result<T> {
    node.get(name)
        .ok_or_else(|| ort::Error::new(format!("the attribute {name} is missing")))
}

#[cfg(test)]
#[path = "operators_tests.rs"]
mod tests;
