//! A file that `torch.save` wrote, in either of its formats.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{legacy, zip};
use crate::export::checkpoint::tensor::Tensors;
use crate::export::checkpoint::weights_error::WeightsError;

/// The tensors of a file that `torch.save` wrote.
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
#[path = "torch_tests.rs"]
mod tests;
