//! `Gelu`, `GeluTanh`, `Relu`, `Silu` and their quantized variants: the activation of a product.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
};

use super::call::{CallInputs, output, rows_in_part, rows_per_part, run_parts};
use super::declaration::{OutputTypes, attribute, floats, optional_floats};
use crate::activation::Activation;
use crate::export::graph::fused::{SHIFT, activation_operator};
use crate::inference::Cores;
use crate::kernels::{activate, activate_and_quantize};

/// Index of the scales among the inputs.
const SCALES: usize = 2;

pub struct Activate {
    name: String,
    cores: Cores,
    results: OutputTypes,
    activation: Activation,
}

impl Activate {
    pub fn new(cores: Cores, results: OutputTypes, activation: Activation) -> Self {
        Self {
            name: results.name(activation_operator(activation)),
            cores,
            results,
            activation,
        }
    }
}

impl Operator for Activate {
    type Kernel<'attr> = ActivateKernel;

    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [floats(), floats(), optional_floats()]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        self.results.outputs()
    }

    fn create_kernel(&self, node: &KernelContext<'_>) -> ort::Result<ActivateKernel> {
        Ok(ActivateKernel {
            cores: self.cores,
            results: self.results,
            activation: self.activation,
            shift: attribute(node, SHIFT)?,
        })
    }
}

pub struct ActivateKernel {
    cores: Cores,
    results: OutputTypes,
    activation: Activation,
    shift: f32,
}

impl Kernel for ActivateKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let inputs = CallInputs::new(context, SCALES + 1)?;
        let (product, count) = inputs.product(SCALES)?;
        let (activation, shift, width) = (self.activation, self.shift, product.bias.len());
        let size = rows_per_part(count, self.cores);
        let mut rows = output(context, 0, &[count, width])?;
        match self.results {
            OutputTypes::Floats => {
                let rows = rows.try_extract_tensor_mut()?.1.chunks_mut(size * width);
                run_parts(
                    context,
                    self.cores,
                    rows.enumerate(),
                    |(part, activated)| {
                        activate(
                            activation,
                            &product,
                            rows_in_part(part, size, count),
                            activated,
                        );
                    },
                )
            }
            OutputTypes::Bytes => {
                let mut scales = output(context, 1, &[count])?;
                let bytes = rows.try_extract_tensor_mut()?.1.chunks_mut(size * width);
                let scales = scales.try_extract_tensor_mut()?.1.chunks_mut(size);
                let parts = bytes.zip(scales).enumerate();
                run_parts(context, self.cores, parts, |(part, (bytes, scales))| {
                    let rows = rows_in_part(part, size, count);
                    activate_and_quantize(activation, &product, rows, shift, bytes, scales);
                })
            }
        }
    }
}
