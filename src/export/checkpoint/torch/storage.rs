//! Where the numbers of a file's storages lie.

use std::collections::BTreeMap;

/// Why a file of the other byte order is refused.
pub(super) const BIG_ENDIAN: &str = "its numbers are big-endian, and only little-endian ones are read; load it with torch and save it \
                          again on a machine of today";

/// Bytes of a file, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub start: u64,
    pub length: u64,
}

/// Where the numbers of each storage lie, by the storage's key.
pub(super) type Storages = BTreeMap<String, Region>;
