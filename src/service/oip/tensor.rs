//! Tensors of the Open Inference Protocol: a name, a datatype, and a shape that matches the data.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;

use crate::error::ServiceError;
use crate::quote::{quoted, quoted_numbers};

/// The element types that this server supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline, rename_all = "UPPERCASE")]
pub enum Datatype {
    /// `BOOL`: a byte each, 0 or 1.
    Bool,
    /// `INT32`
    Int32,
    /// `INT64`
    Int64,
    /// `FP32`
    Fp32,
    /// `BYTES`: strings of any length.
    Bytes,
}

/// A tensor's elements, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Fp32(Vec<f32>),
    Bytes(Vec<Vec<u8>>),
}

/// A tensor whose number of elements matches its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    name: String,
    shape: Vec<i64>,
    data: TensorData,
}

impl Tensor {
    /// Makes a tensor of elements, as in JSON or in typed lists.
    ///
    /// # Errors
    /// [`ServiceError::InvalidValue`] if shape and data do not match.
    pub fn new(name: String, shape: Vec<i64>, data: TensorData) -> Result<Self, ServiceError> {
        let count = element_count(&shape).map_err(|reason| refused(&name, reason))?;
        if count != data.len() {
            let reason = format!(
                "its shape {} has {count} elements, and its data {}",
                quoted_numbers(&shape),
                data.len()
            );
            return Err(refused(&name, reason));
        }
        Ok(Self { name, shape, data })
    }

    /// Makes a tensor of raw little-endian data.
    ///
    /// # Errors
    /// [`ServiceError::InvalidValue`] if the data does not match the datatype and the shape.
    pub fn from_raw(
        name: String,
        datatype: Datatype,
        shape: Vec<i64>,
        raw: &[u8],
    ) -> Result<Self, ServiceError> {
        let data = element_count(&shape)
            .and_then(|count| TensorData::from_raw(datatype, raw, count))
            .map_err(|reason| refused(&name, reason))?;
        Ok(Self { name, shape, data })
    }

    /// Makes an output tensor with one row per input.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] if the number of elements does not match.
    pub(super) fn rows(
        name: &str,
        rows: usize,
        row_shape: &[usize],
        data: TensorData,
    ) -> Result<Self, ServiceError> {
        let shape = std::iter::once(&rows).chain(row_shape);
        let shape = shape.map(|&size| crate::numbers::signed(size)).collect();
        Self::new(name.to_owned(), shape, data).map_err(ServiceError::internal)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Dimensions, none of them negative.
    #[must_use]
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    #[must_use]
    pub fn into_data(self) -> TensorData {
        self.data
    }
}

fn refused(name: &str, reason: String) -> ServiceError {
    ServiceError::InvalidValue {
        place: format!("The tensor `{}`", quoted(name)),
        reason,
    }
}

/// Number of elements of a tensor of this shape. The error says why there is no such tensor.
fn element_count(shape: &[i64]) -> Result<usize, String> {
    shape.iter().try_fold(1_usize, |count, &size| {
        let size = usize::try_from(size).map_err(|_| {
            format!(
                "its shape {} has the negative dimension {size}",
                quoted_numbers(shape)
            )
        })?;
        count.checked_mul(size).ok_or_else(|| {
            format!(
                "its shape {} has more elements than memory can hold",
                quoted_numbers(shape)
            )
        })
    })
}

impl TensorData {
    /// Reads `count` elements of little-endian data. Each `BYTES` element follows its length, a u32. Memory is bounded
    /// by the data's size, not by `count`.
    ///
    /// # Errors
    /// The reason, if the data does not hold exactly `count` elements.
    pub fn from_raw(datatype: Datatype, raw: &[u8], count: usize) -> Result<Self, String> {
        Ok(match datatype {
            Datatype::Bool => {
                let bytes = fixed::<1>(datatype, raw, count)?;
                let wrong = raw.iter().position(|byte| *byte > 1);
                if let Some(index) = wrong {
                    return Err(format!(
                        "element {index} of its raw data is neither 0 nor 1"
                    ));
                }
                Self::Bool(bytes.map(|[byte]| byte == 1).collect())
            }
            Datatype::Int32 => Self::Int32(
                fixed(datatype, raw, count)?
                    .map(i32::from_le_bytes)
                    .collect(),
            ),
            Datatype::Int64 => Self::Int64(
                fixed(datatype, raw, count)?
                    .map(i64::from_le_bytes)
                    .collect(),
            ),
            Datatype::Fp32 => Self::Fp32(
                fixed(datatype, raw, count)?
                    .map(f32::from_le_bytes)
                    .collect(),
            ),
            Datatype::Bytes => Self::Bytes(strings(raw, count)?),
        })
    }

    /// Writes the data in the format that [`Self::from_raw`] reads.
    #[must_use]
    pub fn to_raw(&self) -> Vec<u8> {
        match self {
            Self::Bool(elements) => elements.iter().map(|element| u8::from(*element)).collect(),
            Self::Int32(elements) => elements.iter().flat_map(|e| e.to_le_bytes()).collect(),
            Self::Int64(elements) => elements.iter().flat_map(|e| e.to_le_bytes()).collect(),
            Self::Fp32(elements) => elements.iter().flat_map(|e| e.to_le_bytes()).collect(),
            Self::Bytes(elements) => {
                let length = elements.iter().map(|element| element.len() + 4).sum();
                let mut raw = Vec::with_capacity(length);
                for element in elements {
                    // Strings of the server and of request bodies are far shorter than 4 GiB.
                    let length = u32::try_from(element.len()).unwrap_or(u32::MAX);
                    raw.extend_from_slice(&length.to_le_bytes());
                    raw.extend_from_slice(element);
                }
                raw
            }
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(elements) => elements.len(),
            Self::Int32(elements) => elements.len(),
            Self::Int64(elements) => elements.len(),
            Self::Fp32(elements) => elements.len(),
            Self::Bytes(elements) => elements.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size of the elements in bytes. The cost of processing them grows with it.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Bool(elements) => elements.len(),
            Self::Int32(elements) => elements.len() * 4,
            Self::Fp32(elements) => elements.len() * 4,
            Self::Int64(elements) => elements.len() * 8,
            Self::Bytes(elements) => elements.iter().map(|element| element.len() + 4).sum(),
        }
    }

    /// Size of the elements in memory, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let texts = match self {
            Self::Bytes(elements) => elements.iter().map(Vec::len).sum(),
            Self::Bool(_) | Self::Int32(_) | Self::Int64(_) | Self::Fp32(_) => 0,
        };
        self.len() * self.datatype().memory() + texts
    }

    #[must_use]
    pub fn datatype(&self) -> Datatype {
        match self {
            Self::Bool(_) => Datatype::Bool,
            Self::Int32(_) => Datatype::Int32,
            Self::Int64(_) => Datatype::Int64,
            Self::Fp32(_) => Datatype::Fp32,
            Self::Bytes(_) => Datatype::Bytes,
        }
    }
}

/// Splits raw data into elements of `SIZE` bytes.
fn fixed<const SIZE: usize>(
    datatype: Datatype,
    raw: &[u8],
    count: usize,
) -> Result<impl Iterator<Item = [u8; SIZE]>, String> {
    let (elements, rest) = raw.as_chunks::<SIZE>();
    if !rest.is_empty() || elements.len() != count {
        return Err(format!(
            "{count} elements of {datatype} are {SIZE} bytes of raw data each, and it has {} bytes in all",
            raw.len()
        ));
    }
    Ok(elements.iter().copied())
}

fn strings(mut raw: &[u8], count: usize) -> Result<Vec<Vec<u8>>, String> {
    // Each element takes at least four bytes.
    let mut elements = Vec::with_capacity(count.min(raw.len() / 4));
    while let Some((length, rest)) = raw.split_first_chunk() {
        let length = u32::from_le_bytes(*length);
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length));
        let Some((element, rest)) = split else {
            return Err(format!(
                "element {} of its raw data has {length} bytes by its length, and {} are left",
                elements.len(),
                rest.len()
            ));
        };
        elements.push(element.to_vec());
        raw = rest;
    }
    if !raw.is_empty() {
        return Err(format!(
            "its raw data ends within the length of element {}",
            elements.len()
        ));
    }
    if elements.len() != count {
        return Err(format!(
            "its shape has {count} elements, and its raw data {}",
            elements.len()
        ));
    }
    Ok(elements)
}

impl Datatype {
    const ALL: [Self; 5] = [
        Self::Bool,
        Self::Int32,
        Self::Int64,
        Self::Fp32,
        Self::Bytes,
    ];

    /// Bytes of an element in memory, beside the bytes of its text.
    #[must_use]
    pub fn memory(self) -> usize {
        match self {
            Self::Bool => size_of::<bool>(),
            Self::Int32 => size_of::<i32>(),
            Self::Int64 => size_of::<i64>(),
            Self::Fp32 => size_of::<f32>(),
            Self::Bytes => size_of::<Vec<u8>>(),
        }
    }

    /// The protocol's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp32 => "FP32",
            Self::Bytes => "BYTES",
        }
    }

    /// The spelling in a model's configuration.
    #[must_use]
    pub fn config_name(self) -> &'static str {
        match self {
            Self::Bool => "TYPE_BOOL",
            Self::Int32 => "TYPE_INT32",
            Self::Int64 => "TYPE_INT64",
            Self::Fp32 => "TYPE_FP32",
            Self::Bytes => "TYPE_STRING",
        }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Datatype {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|datatype| datatype.name() == name)
            .ok_or_else(|| {
                format!(
                    "this server does not support the datatype `{}`; texts are BYTES, token ids INT64 or INT32",
                    quoted(name)
                )
            })
    }
}

#[cfg(test)]
mod tests;
