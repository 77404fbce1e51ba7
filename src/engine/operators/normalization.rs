//! `AddNormalize` and its quantized variant: the LayerNorm of a product plus the rows of the skip connection.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
};
use ort::value::TensorElementType;

use super::call::{CallInputs, check_length, output, rows_in_part, rows_per_part, run_parts};
use super::declaration::{OutputTypes, attribute, floats, optional_floats};
use crate::export::graph::fused::{ADD_NORMALIZE, EPSILON};
use crate::inference::Cores;
use crate::kernels::{Norm, add_and_normalize};

/// Index of the skip connection's rows among the inputs.
const SKIP: usize = 2;
const GAIN: usize = 3;
const SHIFT: usize = 4;
const SCALES: usize = 5;

pub struct AddNormalize {
    name: String,
    cores: Cores,
    results: OutputTypes,
}

impl AddNormalize {
    pub fn new(cores: Cores, results: OutputTypes) -> Self {
        Self {
            name: results.name(ADD_NORMALIZE),
            cores,
            results,
        }
    }
}

impl Operator for AddNormalize {
    type Kernel<'attr> = AddNormalizeKernel;

    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [
            floats(),
            floats(),
            floats(),
            floats(),
            floats(),
            optional_floats(),
        ]
    }

    /// The rows come first, because they are added again after the next product; their quantized form follows.
    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        let mut outputs = vec![OperatorOutput::required(TensorElementType::Float32)];
        if self.results == OutputTypes::Bytes {
            outputs.extend(self.results.outputs());
        }
        outputs
    }

    fn create_kernel(&self, node: &KernelContext<'_>) -> ort::Result<AddNormalizeKernel> {
        Ok(AddNormalizeKernel {
            cores: self.cores,
            results: self.results,
            epsilon: attribute(node, EPSILON)?,
        })
    }
}

pub struct AddNormalizeKernel {
    cores: Cores,
    results: OutputTypes,
    epsilon: f32,
}

impl Kernel for AddNormalizeKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let inputs = CallInputs::new(context, SCALES + 1)?;
        let (product, count) = inputs.product(SCALES)?;
        let (skip, width) = (inputs.elements(SKIP)?, product.bias.len());
        check_length("elements to add", skip.len(), count * width)?;
        let norm = Norm {
            gain: inputs.elements(GAIN)?,
            shift: inputs.elements(SHIFT)?,
            epsilon: self.epsilon,
        };
        check_length("gains", norm.gain.len(), width)?;
        check_length("shifts", norm.shift.len(), width)?;

        let size = rows_per_part(count, self.cores);
        let mut normalized = output(context, 0, &[count, width])?;
        let normalized = normalized
            .try_extract_tensor_mut()?
            .1
            .chunks_mut(size * width);
        match self.results {
            OutputTypes::Floats => run_parts(
                context,
                self.cores,
                normalized.enumerate(),
                |(part, normalized)| {
                    let rows = rows_in_part(part, size, count);
                    add_and_normalize(&product, skip, norm, rows, normalized, None);
                },
            ),
            OutputTypes::Bytes => {
                let mut bytes = output(context, 1, &[count, width])?;
                let mut scales = output(context, 2, &[count])?;
                let bytes = bytes.try_extract_tensor_mut()?.1.chunks_mut(size * width);
                let scales = scales.try_extract_tensor_mut()?.1.chunks_mut(size);
                let parts = normalized.zip(bytes.zip(scales)).enumerate();
                run_parts(
                    context,
                    self.cores,
                    parts,
                    |(part, (normalized, quantized))| {
                        let rows = rows_in_part(part, size, count);
                        add_and_normalize(&product, skip, norm, rows, normalized, Some(quantized));
                    },
                )
            }
        }
    }
}
