//! `pytorch_model.bin`: a pickle that describes the tensors, and beside it their numbers as plain bytes.
//!
//! The pickle is read as data and never executed (`pickle.rs`): what it may refer to is a short list of names
//! (`globals.rs`), which stand for themselves. The numbers lie in a zip archive (`zip.rs`), or, before torch 1.6, behind
//! the pickle (`legacy.rs`). The reference is `torch/serialization.py`.

mod globals;
mod legacy;
mod pickle;
mod pickle_input;
mod state_dict;
#[cfg(test)]
mod testing;
mod zip;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{Tensors, WeightsError};

/// The most bytes of a pickle: one of an ELECTRA has some ten thousand.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// Why a file of the other byte order is refused.
const BIG_ENDIAN: &str = "its numbers are big-endian, and only little-endian ones are read; load it with torch and save it \
                          again on a machine of today";

impl From<pickle::PickleError> for WeightsError {
    fn from(error: pickle::PickleError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Bytes of a file, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u64,
    length: u64,
}

/// Where the numbers of each storage lie, by the storage's key.
type Storages = BTreeMap<String, Region>;

/// The tensors of a file that `torch.save` wrote.
pub(super) fn tensors(mut file: &File) -> Result<Tensors, WeightsError> {
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
