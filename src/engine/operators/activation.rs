//! `Gelu`, `GeluTanh`, `Relu`, `Silu` and their quantized kinds: the activation of a product.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
};

use super::call::{Inputs, each, output, rows_of, rows_of_a_part};
use super::{Results, attribute, floats, optional_floats};
use crate::activation::Activation;
use crate::batch::Cores;
use crate::export::graph::fused::{SHIFT, activation_operator};
use crate::kernels::{activate, activate_and_quantize};

/// Where the scales are among the inputs.
const SCALES: usize = 2;

pub struct Activate {
    name: String,
    cores: Cores,
    results: Results,
    activation: Activation,
}

impl Activate {
    pub fn new(cores: Cores, results: Results, activation: Activation) -> Self {
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
    results: Results,
    activation: Activation,
    shift: f32,
}

impl Kernel for ActivateKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let inputs = Inputs::of(context, SCALES + 1)?;
        let (product, count) = inputs.product(SCALES)?;
        let (activation, shift, width) = (self.activation, self.shift, product.bias.len());
        let size = rows_of_a_part(count, self.cores);
        let mut rows = output(context, 0, &[count, width])?;
        match self.results {
            Results::Floats => {
                let rows = rows.try_extract_tensor_mut()?.1.chunks_mut(size * width);
                each(
                    context,
                    self.cores,
                    rows.enumerate(),
                    |(part, activated)| {
                        activate(activation, &product, rows_of(part, size, count), activated);
                    },
                )
            }
            Results::Bytes => {
                let mut scales = output(context, 1, &[count])?;
                let bytes = rows.try_extract_tensor_mut()?.1.chunks_mut(size * width);
                let scales = scales.try_extract_tensor_mut()?.1.chunks_mut(size);
                let parts = bytes.zip(scales).enumerate();
                each(context, self.cores, parts, |(part, (bytes, scales))| {
                    let rows = rows_of(part, size, count);
                    activate_and_quantize(activation, &product, rows, shift, bytes, scales);
                })
            }
        }
    }
}
