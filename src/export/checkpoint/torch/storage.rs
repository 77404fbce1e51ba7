//! Positions of storages in a file.

use std::collections::BTreeMap;

/// The refusal of a big-endian file.
pub(super) const BIG_ENDIAN: &str = "its numbers are big-endian, and only little-endian ones are read; load it with torch and save it \
                          again on a little-endian machine";

/// A range of a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub start: u64,
    pub length: u64,
}

/// Positions of storages, by key.
pub(super) type Storages = BTreeMap<String, Region>;
