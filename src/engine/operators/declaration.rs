//! What operators declare: their inputs, their results and their attributes.

use ort::operator::{FromKernelContext, KernelContext, OperatorInput, OperatorOutput};
use ort::value::TensorElementType;

use crate::export::graph::fused::quantized;

/// What an operator gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// Rows of floats.
    Floats,
    /// Rows of bytes, and a scale for each.
    Bytes,
}

impl Results {
    /// The name of an operator that gives these.
    pub fn name(self, operator: &str) -> String {
        match self {
            Self::Floats => operator.to_owned(),
            Self::Bytes => quantized(operator),
        }
    }

    /// The declared outputs.
    pub fn outputs(self) -> Vec<OperatorOutput> {
        match self {
            Self::Floats => vec![OperatorOutput::required(TensorElementType::Float32)],
            Self::Bytes => vec![
                OperatorOutput::required(TensorElementType::Uint8),
                OperatorOutput::required(TensorElementType::Float32),
            ],
        }
    }
}

/// An input of floats.
pub fn floats() -> OperatorInput {
    OperatorInput::required(TensorElementType::Float32)
}

/// An input of floats that may be left out.
pub fn optional_floats() -> OperatorInput {
    OperatorInput::optional(TensorElementType::Float32)
}

/// A node's attribute, which must be there.
pub fn attribute<'attr, T: FromKernelContext<'attr>>(
    node: &KernelContext<'attr>,
    name: &str,
) -> ort::Result<T> {
    node.get(name)
        .ok_or_else(|| ort::Error::new(format!("the attribute {name} is missing")))
}
