//! Declares the operators' inputs, outputs and attributes.

use ort::operator::{FromKernelContext, KernelContext, OperatorInput, OperatorOutput};
use ort::value::TensorElementType;

use crate::export::graph::fused::quantized;

/// The type of an operator's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputTypes {
    /// Rows of floats.
    Floats,
    /// Rows of bytes, and one scale per row.
    Bytes,
}

impl OutputTypes {
    /// The name of the variant with this output.
    pub fn name(self, operator: &str) -> String {
        match self {
            Self::Floats => operator.to_owned(),
            Self::Bytes => quantized(operator),
        }
    }

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

pub fn floats() -> OperatorInput {
    OperatorInput::required(TensorElementType::Float32)
}

pub fn optional_floats() -> OperatorInput {
    OperatorInput::optional(TensorElementType::Float32)
}

/// A required attribute of a node.
pub fn attribute<'attr, T: FromKernelContext<'attr>>(
    node: &KernelContext<'attr>,
    name: &str,
) -> ort::Result<T> {
    node.get(name)
        .ok_or_else(|| ort::Error::new(format!("the attribute {name} is missing")))
}
