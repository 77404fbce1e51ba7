//! Locates a tensor in a file and reads it as 32-bit floats. No other code converts number formats.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NumberType {
    Float(FloatType),
    /// The name of a type that weights never have. Integer buffers can occur beside weights.
    Other(String),
}

/// Number formats of weights, all little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloatType {
    Fp64,
    Fp32,
    Fp16,
    Bf16,
}

impl FloatType {
    fn bytes(self) -> usize {
        match self {
            Self::Fp64 => 8,
            Self::Fp32 => 4,
            Self::Fp16 | Self::Bf16 => 2,
        }
    }

    fn convert(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            #[expect(clippy::cast_possible_truncation, reason = "the graph is in fp32")]
            Self::Fp64 => {
                values.extend(numbers(bytes).map(|number| f64::from_le_bytes(number) as f32));
            }
            Self::Fp32 => values.extend(numbers(bytes).map(f32::from_le_bytes)),
            Self::Fp16 => {
                let halves: Vec<f16> = numbers(bytes).map(f16::from_le_bytes).collect();
                values.extend(halves.to_f32_vec());
            }
            Self::Bf16 => {
                let halves: Vec<bf16> = numbers(bytes).map(bf16::from_le_bytes).collect();
                values.extend(halves.to_f32_vec());
            }
        }
    }
}

fn numbers<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks().0.iter().copied()
}

/// The position of a tensor's numbers in a file. Invariant, checked by whoever creates one: the numbers lie within the
/// file, and the tensor has no more elements than there are numbers. So reading a tensor takes no more memory than the
/// file's size accounts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredTensor {
    numbers: NumberType,
    shape: Vec<usize>,
    /// Steps between neighbouring elements along each axis, in numbers; `None` if the tensor is contiguous and
    /// row-major.
    strides: Option<Vec<usize>>,
    /// Offset of the first element in the file, in bytes.
    start: u64,
}

impl StoredTensor {
    /// A contiguous, row-major tensor.
    pub(super) fn in_rows(numbers: NumberType, shape: Vec<usize>, start: u64) -> Self {
        Self {
            numbers,
            shape,
            strides: None,
            start,
        }
    }

    /// A tensor with the given strides, in numbers.
    pub(super) fn strided(
        numbers: NumberType,
        shape: Vec<usize>,
        strides: Vec<usize>,
        start: u64,
    ) -> Self {
        Self {
            numbers,
            shape,
            strides: Some(strides),
            start,
        }
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(super) fn number_type(&self) -> &NumberType {
        &self.numbers
    }

    /// Reads the elements, row-major, as numbers of the given type.
    pub(super) fn values(&self, file: &File, numbers: FloatType) -> io::Result<Vec<f32>> {
        let count = self.shape.iter().product();
        match &self.strides {
            None => read(file, self.start, count, numbers),
            Some(_) if count == 0 => Ok(Vec::new()),
            Some(strides) => {
                let last: usize = self
                    .shape
                    .iter()
                    .zip(strides)
                    .map(|(size, stride)| (size - 1) * stride)
                    .sum();
                let span = read(file, self.start, last + 1, numbers)?;
                Ok(gather(&span, &self.shape, strides))
            }
        }
    }
}

/// Reads contiguous numbers through a buffer of fixed size, so that they are never in memory in both types.
fn read(mut file: &File, start: u64, count: usize, numbers: FloatType) -> io::Result<Vec<f32>> {
    const CHUNK_BYTES: usize = 1 << 16;
    file.seek(SeekFrom::Start(start))?;
    let mut values = Vec::with_capacity(count);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut remaining = count * numbers.bytes();
    while remaining > 0 {
        let chunk = &mut buffer[..remaining.min(CHUNK_BYTES)];
        file.read_exact(chunk)?;
        numbers.convert(chunk, &mut values);
        remaining -= chunk.len();
    }
    Ok(values)
}

/// Returns the elements of a tensor with strides, row-major.
fn gather(span: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let mut values = Vec::with_capacity(shape.iter().product());
    let mut index = vec![0; shape.len()];
    loop {
        let place: usize = index
            .iter()
            .zip(strides)
            .map(|(at, stride)| at * stride)
            .sum();
        values.extend(span.get(place));
        // Advance to the next element: increment the last axis and carry into the axes before it.
        let axis = (0..shape.len())
            .rev()
            .find(|axis| index[*axis] + 1 < shape[*axis]);
        let Some(axis) = axis else {
            return values;
        };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

/// The tensors of one file, by name.
pub(super) type Tensors = BTreeMap<String, StoredTensor>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_followed_on_every_axis() {
        let span: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let check = |shape: &[usize], strides: &[usize], expected: &[f32]| {
            assert_eq!(
                gather(&span, shape, strides),
                expected,
                "{shape:?} {strides:?}"
            );
        };
        check(&[], &[], &[0.0]);
        check(&[3], &[2], &[0.0, 2.0, 4.0]);
        check(&[2, 3], &[1, 2], &[0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        check(&[2, 1, 2], &[12, 0, 5], &[0.0, 5.0, 12.0, 17.0]);
        check(&[2, 3, 4], &[12, 4, 1], &span);
        check(
            &[2, 2, 2],
            &[1, 4, 12],
            &[0.0, 12.0, 4.0, 16.0, 1.0, 13.0, 5.0, 17.0],
        );
    }
}
