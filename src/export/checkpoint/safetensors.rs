//! Reads the header of a safetensors file: names, shapes and positions of its tensors.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::tensor::{FloatType, NumberType, StoredTensor, Tensors};
use super::weights_error::WeightsError;

/// The safetensors specification's limit on a header, in bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Reads the header and checks it against the file's size.
pub(super) fn tensors(mut file: &File) -> Result<Tensors, WeightsError> {
    let file_bytes = file.metadata()?.len();
    let mut prefix = [0; 8];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut prefix)
        .map_err(|_| "it is too short to be a safetensors file".to_owned())?;
    let header_bytes = u64::from_le_bytes(prefix);
    if header_bytes > MAX_HEADER_BYTES || header_bytes > file_bytes.saturating_sub(8) {
        return Err(format!(
            "its header claims {header_bytes} bytes; it is not a safetensors file"
        )
        .into());
    }
    let mut header = Vec::new();
    file.take(header_bytes).read_to_end(&mut header)?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| format!("its header can't be read: {error}"))?;
    let data_start = 8 + header_bytes;
    let wanted = data_start + metadata.data_len() as u64;
    if wanted != file_bytes {
        return Err(format!(
            "it has {file_bytes} bytes, and its header asks for {wanted}; it was probably cut short while it was copied"
        )
        .into());
    }
    // The crate has checked that each tensor has the bytes of its shape, and that tensors follow one another.
    Ok(metadata
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let start = data_start + info.data_offsets.0 as u64;
            let tensor = StoredTensor::in_rows(number_type(info.dtype), info.shape.clone(), start);
            (name, tensor)
        })
        .collect())
}

fn number_type(numbers: Dtype) -> NumberType {
    match numbers {
        Dtype::F64 => NumberType::Float(FloatType::Fp64),
        Dtype::F32 => NumberType::Float(FloatType::Fp32),
        Dtype::F16 => NumberType::Float(FloatType::Fp16),
        Dtype::BF16 => NumberType::Float(FloatType::Bf16),
        other => NumberType::Other(format!("{other:?}")),
    }
}
