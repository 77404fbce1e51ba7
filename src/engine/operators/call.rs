//! One call of an operator: checks its inputs against each other, creates its outputs and divides its work.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ort::operator::ComputeContext;
use ort::value::{PrimitiveTensorElementType, ValueRef, ValueRefMut};

use crate::inference::Cores;
use crate::kernels::Product;
use crate::numbers::signed;

/// Number of parts that work for all cores is divided into: several per core, because cores do not run at the same
/// speed.
const PARTS: usize = 8;
/// Least number of rows in a part.
const LEAST_ROWS: usize = 8;

pub struct CallInputs<'c> {
    values: Vec<Option<ValueRef<'c>>>,
}

impl<'c> CallInputs<'c> {
    /// Takes the first `count` inputs.
    pub fn new(context: &'c ComputeContext, count: usize) -> ort::Result<Self> {
        let values = (0..count).map(|index| context.input(index));
        Ok(Self {
            values: values.collect::<ort::Result<_>>()?,
        })
    }

    pub fn elements<T: PrimitiveTensorElementType>(&self, index: usize) -> ort::Result<&[T]> {
        self.optional(index)?
            .ok_or_else(|| ort::Error::new(format!("input {index} is missing")))
    }

    /// The elements of an optional input; `None` if it is absent.
    pub fn optional<T: PrimitiveTensorElementType>(
        &self,
        index: usize,
    ) -> ort::Result<Option<&[T]>> {
        match self.values.get(index) {
            Some(Some(value)) => Ok(Some(value.try_extract_tensor()?.1)),
            _ => Ok(None),
        }
    }

    /// Reads inputs 0 and 1, and the optional input `scales`, as a product with its bias and scales. Also returns the
    /// number of rows.
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

/// The number of rows of this width; an error if the last is incomplete.
pub fn count_of_rows(elements: usize, width: usize) -> ort::Result<usize> {
    if width == 0 || !elements.is_multiple_of(width) {
        let reason = format!("{elements} elements do not divide into rows of {width}");
        return Err(ort::Error::new(reason));
    }
    Ok(elements / width)
}

/// Refuses an input whose length does not match the other inputs.
pub fn check_length(what: &str, length: usize, wanted: usize) -> ort::Result<()> {
    if length == wanted {
        return Ok(());
    }
    let reason = format!("there are {length} {what} instead of {wanted}");
    Err(ort::Error::new(reason))
}

/// Creates an output to be filled.
pub fn output<'c>(
    context: &'c ComputeContext,
    index: usize,
    shape: &[usize],
) -> ort::Result<ValueRefMut<'c>> {
    let shape: Vec<i64> = shape.iter().map(|size| signed(*size)).collect();
    context
        .output(index, shape)?
        .ok_or_else(|| ort::Error::new(format!("output {index} is not requested")))
}

/// Number of rows per part.
pub fn rows_per_part(rows: usize, cores: Cores) -> usize {
    match cores {
        Cores::One => rows.max(1),
        Cores::All => rows.div_ceil(PARTS).max(LEAST_ROWS),
    }
}

/// The rows of a part, by its index.
pub fn rows_in_part(part: usize, size: usize, rows: usize) -> Range<usize> {
    let start = part * size;
    start..rows.min(start + size)
}

/// Runs all parts; with all cores, also on the threads of the runtime's pool.
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
