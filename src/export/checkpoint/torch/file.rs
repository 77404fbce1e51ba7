//! Reads files of `torch.save`, in either of its formats.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{legacy, zip};
use crate::export::checkpoint::tensor::Tensors;
use crate::export::checkpoint::weights_error::WeightsError;

/// Returns the tensors of a file.
pub fn tensors(mut file: &File) -> Result<Tensors, WeightsError> {
    const ZIP: &[u8] = b"PK\x03\x04";
    let mut start = Vec::with_capacity(ZIP.len());
    file.seek(SeekFrom::Start(0))?;
    file.take(ZIP.len() as u64).read_to_end(&mut start)?;
    if start == ZIP {
        zip::tensors(file)
    } else {
        legacy::tensors(file)
    }
}

#[cfg(test)]
mod tests;
