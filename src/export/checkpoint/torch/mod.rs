//! Reads `pytorch_model.bin`: a pickle that describes the tensors, and their numbers as plain bytes.
//!
//! The pickle is interpreted as data and never executed (`pickle.rs`). It may refer only to the names listed in
//! `globals.rs`. The numbers are in a zip archive (`zip.rs`) or, before torch 1.6, after the pickle (`legacy.rs`). The
//! reference is `torch/serialization.py`.

mod file;
mod globals;
mod legacy;
mod pickle;
mod state_dict;
mod storage;
#[cfg(test)]
mod testing;
mod zip;

pub(super) use file::tensors;
