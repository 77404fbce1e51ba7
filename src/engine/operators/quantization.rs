//! `Quantize`: rows to bytes, with one scale per row.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
};

use super::call::{count_of_rows, output, rows_per_part, run_parts};
use super::declaration::{OutputTypes, floats};
use crate::export::graph::fused::QUANTIZE;
use crate::inference::Cores;
use crate::kernels::quantize_signed;

pub struct Quantize {
    cores: Cores,
}

impl Quantize {
    pub fn new(cores: Cores) -> Self {
        Self { cores }
    }
}

impl Operator for Quantize {
    type Kernel<'attr> = QuantizeKernel;

    fn name(&self) -> &'static str {
        QUANTIZE
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [floats()]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        OutputTypes::Bytes.outputs()
    }

    fn create_kernel(&self, _: &KernelContext<'_>) -> ort::Result<QuantizeKernel> {
        Ok(QuantizeKernel { cores: self.cores })
    }
}

pub struct QuantizeKernel {
    cores: Cores,
}

impl Kernel for QuantizeKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let input = context.input(0)?;
        let input = input.ok_or_else(|| ort::Error::new("its input is missing"))?;
        let (shape, rows) = input.try_extract_tensor::<f32>()?;
        let width = shape.last().and_then(|width| usize::try_from(*width).ok());
        let width = width.unwrap_or(0);
        let count = count_of_rows(rows.len(), width)?;
        let mut bytes = output(context, 0, &[count, width])?;
        let mut scales = output(context, 1, &[count])?;
        let size = rows_per_part(count, self.cores);
        let bytes = bytes.try_extract_tensor_mut()?.1.chunks_mut(size * width);
        let scales = scales.try_extract_tensor_mut()?.1.chunks_mut(size);
        let parts = rows.chunks(size * width).zip(bytes.zip(scales));
        run_parts(context, self.cores, parts, |(rows, (bytes, scales))| {
            quantize_signed(rows, width, bytes, scales);
        })
    }
}
