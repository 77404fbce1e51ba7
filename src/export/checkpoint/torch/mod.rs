//! `pytorch_model.bin`: a pickle that describes the tensors, and beside it their numbers as plain bytes.
//!
//! The pickle is read as data and never executed (`pickle.rs`): what it may refer to is a short list of names
//! (`globals.rs`), which stand for themselves. The numbers lie in a zip archive (`zip.rs`), or, before torch 1.6, behind
//! the pickle (`legacy.rs`). The reference is `torch/serialization.py`.

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
