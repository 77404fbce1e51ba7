//! `Linear` and `IntegerLinear`: products of rows with a layer's weights, which all sessions share.

use std::sync::{Arc, Mutex, PoisonError};

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
};
use ort::value::{PrimitiveTensorElementType, TensorElementType};

use super::call::{CallInputs, count_of_rows, output, rows_per_part, run_parts};
use super::declaration::{OutputTypes, attribute, floats};
use crate::engine::linear_weights::LinearWeights;
use crate::export::graph::fused::{INTEGER_LINEAR, LINEAR, WEIGHTS, ZERO_POINT};
use crate::inference::Cores;
use crate::kernels::{ByteWeights, FloatWeights, WrongSize};

pub struct Linear {
    cores: Cores,
    weights: LinearWeights,
}

impl Linear {
    pub fn new(cores: Cores, weights: LinearWeights) -> Self {
        Self { cores, weights }
    }
}

impl Operator for Linear {
    type Kernel<'attr> = LinearKernel;

    fn name(&self) -> &'static str {
        LINEAR
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [floats()]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        OutputTypes::Floats.outputs()
    }

    fn create_kernel(&self, node: &KernelContext<'_>) -> ort::Result<LinearKernel> {
        Ok(LinearKernel {
            cores: self.cores,
            weights: named(node, |name| self.weights.floats(name))?,
        })
    }
}

pub struct LinearKernel {
    cores: Cores,
    weights: Arc<FloatWeights>,
}

impl Kernel for LinearKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let inputs = CallInputs::new(context, 1)?;
        let (rows, shape) = (inputs.elements(0)?, self.weights.shape());
        multiply(context, self.cores, rows, shape, |rows, products| {
            self.weights.multiply(rows, products)
        })
    }
}

pub struct IntegerLinear {
    cores: Cores,
    weights: LinearWeights,
}

impl IntegerLinear {
    pub fn new(cores: Cores, weights: LinearWeights) -> Self {
        Self { cores, weights }
    }
}

impl Operator for IntegerLinear {
    type Kernel<'attr> = IntegerLinearKernel;

    fn name(&self) -> &'static str {
        INTEGER_LINEAR
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(TensorElementType::Uint8), floats()]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        OutputTypes::Floats.outputs()
    }

    fn create_kernel(&self, node: &KernelContext<'_>) -> ort::Result<IntegerLinearKernel> {
        let zero_point: i64 = attribute(node, ZERO_POINT)?;
        let no_byte = |_| ort::Error::new(format!("{zero_point} is not a zero point of bytes"));
        Ok(IntegerLinearKernel {
            cores: self.cores,
            weights: named(node, |name| self.weights.bytes(name))?,
            zero_point: u8::try_from(zero_point).map_err(no_byte)?,
        })
    }
}

pub struct IntegerLinearKernel {
    cores: Cores,
    weights: Arc<ByteWeights>,
    zero_point: u8,
}

impl Kernel for IntegerLinearKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let inputs = CallInputs::new(context, 2)?;
        let (rows, shape) = (inputs.elements(0)?, self.weights.shape());
        let scales = inputs.elements(1)?;
        multiply(context, self.cores, rows, shape, |rows, products| {
            self.weights
                .multiply(rows, self.zero_point, scales, products)
        })
    }
}

/// The weights that a node refers to by name.
fn named<W>(
    node: &KernelContext<'_>,
    find: impl FnOnce(&str) -> Option<Arc<W>>,
) -> ort::Result<Arc<W>> {
    let name: String = attribute(node, WEIGHTS)?;
    find(&name).ok_or_else(|| ort::Error::new(format!("there are no weights `{name}`")))
}

/// Multiplies all rows with weights of `[inputs, outputs]`, in parts, and writes the products to the output.
fn multiply<T: PrimitiveTensorElementType + Sync>(
    context: &ComputeContext,
    cores: Cores,
    rows: &[T],
    [inputs, outputs]: [usize; 2],
    multiply: impl Fn(&[T], &mut [f32]) -> Result<(), WrongSize> + Sync + Send,
) -> ort::Result<()> {
    let count = count_of_rows(rows.len(), inputs)?;
    let mut products = output(context, 0, &[count, outputs])?;
    let products = products.try_extract_tensor_mut()?.1;
    let size = rows_per_part(count, cores);
    let parts = rows.chunks(size * inputs);
    let parts = parts.zip(products.chunks_mut(size * outputs));
    let failed = Mutex::new(None);
    run_parts(context, cores, parts, |(rows, products)| {
        if let Err(error) = multiply(rows, products) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    })?;
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(ort::Error::new(error.to_string())),
        None => Ok(()),
    }
}
