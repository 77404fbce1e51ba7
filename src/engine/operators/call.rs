//! One call of an operator: its inputs checked against each other, its outputs, and its work in parts.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ort::operator::ComputeContext;
use ort::value::{PrimitiveTensorElementType, ValueRef, ValueRefMut};

use crate::inference::Cores;
use crate::kernels::Product;
use crate::numbers::signed;

/// Parts that work for all cores is cut into: some for each, as they do not run at the same speed.
const PARTS: usize = 8;
/// Rows that are worth a part of their own.
const LEAST_ROWS: usize = 8;

/// The inputs of a call.
pub struct CallInputs<'c> {
    values: Vec<Option<ValueRef<'c>>>,
}

impl<'c> CallInputs<'c> {
    /// The first `count` inputs.
    pub fn new(context: &'c ComputeContext, count: usize) -> ort::Result<Self> {
        let values = (0..count).map(|index| context.input(index));
        Ok(Self {
            values: values.collect::<ort::Result<_>>()?,
        })
    }

    /// An input's elements.
    pub fn elements<T: PrimitiveTensorElementType>(&self, index: usize) -> ort::Result<&[T]> {
        self.optional(index)?
            .ok_or_else(|| ort::Error::new(format!("input {index} is missing")))
    }

    /// The elements of an input that may be left out.
    pub fn optional<T: PrimitiveTensorElementType>(
        &self,
        index: usize,
    ) -> ort::Result<Option<&[T]>> {
        match self.values.get(index) {
            Some(Some(value)) => Ok(Some(value.try_extract_tensor()?.1)),
            _ => Ok(None),
        }
    }

    /// Inputs 0 and 1, and one that may be left out, as a product with its bias and its scales; and the number of rows.
    pub fn product(&self, scales: usize) -> ort::Result<(Product<'_>, usize)> {
        let (rows, bias) = (self.elements(0)?, self.elements(1)?);
        let scales = self.optional(scales)?;
        let count = count_of_rows(rows.len(), bias.len())?;
        if let Some(scales) = scales {
            check_length("scales", scales.len(), count)?;
        }
        let product = Product { rows, scales, bias };
        Ok((product, count))
    }
}

/// How many rows of a width these elements are.
pub fn count_of_rows(elements: usize, width: usize) -> ort::Result<usize> {
    if width == 0 || !elements.is_multiple_of(width) {
        let reason = format!("{elements} elements are no rows of {width}");
        return Err(ort::Error::new(reason));
    }
    Ok(elements / width)
}

/// Refuses an input of another length than the others want.
pub fn check_length(what: &str, length: usize, wanted: usize) -> ort::Result<()> {
    if length == wanted {
        return Ok(());
    }
    let reason = format!("{what} are {length}, and {wanted} are wanted");
    Err(ort::Error::new(reason))
}

/// An output, to be filled.
pub fn output<'c>(
    context: &'c ComputeContext,
    index: usize,
    shape: &[usize],
) -> ort::Result<ValueRefMut<'c>> {
    let shape: Vec<i64> = shape.iter().map(|size| signed(*size)).collect();
    context
        .output(index, shape)?
        .ok_or_else(|| ort::Error::new(format!("output {index} is not wanted")))
}

/// How many of so many rows are done at a time.
pub fn rows_per_part(rows: usize, cores: Cores) -> usize {
    match cores {
        Cores::One => rows.max(1),
        Cores::All => rows.div_ceil(PARTS).max(LEAST_ROWS),
    }
}

/// Some rows, by the place of their part.
pub fn rows_in_part(part: usize, size: usize, rows: usize) -> Range<usize> {
    let start = part * size;
    start..rows.min(start + size)
}

/// Does every part of the work, on the threads of the runtime's pool too where all cores are meant.
pub fn run_parts<T: Send>(
    context: &ComputeContext,
    cores: Cores,
    parts: impl Iterator<Item = T>,
    work: impl Fn(T) + Sync + Send,
) -> ort::Result<()> {
    match cores {
        Cores::One => parts.for_each(work),
        Cores::All => {
            let parts: Vec<_> = parts.map(|part| Mutex::new(Some(part))).collect();
            context.par_for(parts.len(), 0, |index| {
                let taken = parts[index]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(part) = taken {
                    work(part);
                }
            })?;
        }
    }
    Ok(())
}
