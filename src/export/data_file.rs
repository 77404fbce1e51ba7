//! Writes the file with a graph's weights: tensors one after another, each aligned.

use std::io::{self, Read, Write};

use half::f16;

use super::{ExportError, Precision};
use crate::onnx::DataType;

/// Tensors start at multiples of this many bytes, for wide vector loads.
pub const ALIGNMENT: u64 = 64;

/// Values written at a time.
const CHUNK: usize = 1 << 16;

/// Float types of weights, and of the tensors between a graph's operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    Single,
    /// IEEE 16-bit, up to 65,504.
    Half,
}

impl Float {
    /// The type in ONNX.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Single => DataType::Float,
            Self::Half => DataType::Float16,
        }
    }
}

/// The reason why a tensor can't be written.
pub enum TensorError {
    /// The values can't be read, or can't be written in the requested type.
    Values(ExportError),
    Write(io::Error),
}

impl From<ExportError> for TensorError {
    fn from(error: ExportError) -> Self {
        Self::Values(error)
    }
}

impl From<io::Error> for TensorError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

pub struct DataFile<W> {
    writer: W,
    written: u64,
}

impl<W: Write> DataFile<W> {
    pub fn new(writer: W) -> Self {
        Self { writer, written: 0 }
    }

    pub fn into_inner(self) -> W {
        self.writer
    }

    /// Writes fp32 values.
    pub fn floats(&mut self, values: &[f32]) -> Result<(), TensorError> {
        self.tensor(|writer| write_values(writer, values, f32::to_le_bytes))
    }

    /// Writes int8 values.
    pub fn bytes(&mut self, values: &[i8]) -> Result<(), TensorError> {
        self.tensor(|writer| write_values(writer, values, i8::to_le_bytes))
    }

    /// Writes values as `float`; `name` is their tensor's, for errors.
    pub fn weights(&mut self, values: &[f32], float: Float, name: &str) -> Result<(), TensorError> {
        match float {
            Float::Single => self.floats(values),
            Float::Half => {
                let values = halves(values, name)?;
                self.tensor(|writer| write_values(writer, &values, f16::to_le_bytes))
            }
        }
    }

    /// Writes a matrix `[outputs][inputs]` as `[inputs][outputs]`, its values as `float`.
    pub fn transposed_weights(
        &mut self,
        matrix: &[f32],
        inputs: usize,
        float: Float,
        name: &str,
    ) -> Result<(), TensorError> {
        match float {
            Float::Single => {
                self.tensor(|writer| write_transposed(writer, matrix, inputs, f32::to_le_bytes))
            }
            Float::Half => {
                let matrix = halves(matrix, name)?;
                self.tensor(|writer| write_transposed(writer, &matrix, inputs, f16::to_le_bytes))
            }
        }
    }

    /// Writes an int8 matrix `[outputs][inputs]` as `[inputs][outputs]`.
    pub fn transposed_bytes(&mut self, matrix: &[i8], inputs: usize) -> Result<(), TensorError> {
        self.tensor(|writer| write_transposed(writer, matrix, inputs, i8::to_le_bytes))
    }

    /// Pads to the start of the next tensor. `content` writes the tensor and returns its size in bytes.
    fn tensor(
        &mut self,
        content: impl FnOnce(&mut W) -> io::Result<u64>,
    ) -> Result<(), TensorError> {
        let start = self.written.next_multiple_of(ALIGNMENT);
        io::copy(
            &mut io::repeat(0).take(start - self.written),
            &mut self.writer,
        )?;
        self.written = start + content(&mut self.writer)?;
        Ok(())
    }
}

/// Rounds weights to fp16. Refuses those that would become infinite.
fn halves(values: &[f32], name: &str) -> Result<Vec<f16>, ExportError> {
    let largest = f16::MAX.to_f32();
    if let Some(value) = values.iter().find(|value| value.abs() > largest) {
        return Err(ExportError::Precision {
            precision: Precision::Fp16,
            reason: format!(
                "`{name}` holds {value}, and fp16 ends at {largest}; export it in fp32"
            ),
        });
    }
    Ok(values.iter().copied().map(f16::from_f32).collect())
}

fn write_values<T: Copy, const N: usize>(
    writer: &mut impl Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<u64> {
    let mut buffer = Vec::with_capacity(CHUNK * N);
    for chunk in values.chunks(CHUNK) {
        buffer.clear();
        buffer.extend(chunk.iter().flat_map(|value| bytes(*value)));
        writer.write_all(&buffer)?;
    }
    Ok((values.len() * N) as u64)
}

/// Writes `[outputs][inputs]` as `[inputs][outputs]`, row by row.
fn write_transposed<T: Copy, const N: usize>(
    writer: &mut impl Write,
    matrix: &[T],
    inputs: usize,
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<u64> {
    let mut row = Vec::with_capacity(matrix.len() / inputs * N);
    for input in 0..inputs {
        row.clear();
        for value in matrix.iter().skip(input).step_by(inputs) {
            row.extend_from_slice(&bytes(*value));
        }
        writer.write_all(&row)?;
    }
    Ok((matrix.len() * N) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_aligned_and_rounded() {
        let mut file = DataFile::new(Vec::new());
        let write = |file: &mut DataFile<Vec<u8>>| {
            file.weights(&[1.0, -0.5], Float::Half, "a")?;
            file.transposed_weights(&[1.0, 2.0, 3.0, 4.0], 2, Float::Single, "b")
        };
        assert!(write(&mut file).is_ok());
        let bytes = file.into_inner();
        assert_eq!(&bytes[..4], [0x00, 0x3c, 0x00, 0xb8]);
        assert!(bytes[4..64].iter().all(|byte| *byte == 0));
        let floats: Vec<f32> = bytes[64..]
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        assert_eq!(floats, [1.0, 3.0, 2.0, 4.0]);
    }

    #[test]
    fn a_weight_beyond_sixteen_bits_is_refused_by_name() {
        let write =
            |value| DataFile::new(Vec::new()).weights(&[0.0, value], Float::Half, "x.weight");
        assert!(write(65_504.0).is_ok() && write(-65_504.0).is_ok());
        let Err(TensorError::Values(error)) = write(-65_520.0) else {
            panic!("a weight became infinite");
        };
        let error = error.to_string();
        assert!(
            error.contains("in fp16: `x.weight` holds -65520, and fp16 ends at 65504"),
            "{error}"
        );
    }
}
