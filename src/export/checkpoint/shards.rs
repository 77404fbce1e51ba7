//! Reads the index of a sharded checkpoint: which file holds which tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::weights_error::WeightsError;
use crate::export::ExportError;
use crate::files;

/// An index names every tensor once; an ELECTRA model has a few hundred.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// `model.safetensors.index.json` or `pytorch_model.bin.index.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Reads an index and checks that each shard is a file in the index's folder.
    pub(super) fn read(path: &Path) -> Result<Self, WeightsError> {
        let text = files::read(path, MAX_INDEX_BYTES)?;
        let index: Self = serde_json::from_slice(&text)
            .map_err(|error| format!("it is not an index of shards: {error}"))?;
        if let Some(shard) = index
            .shards()
            .into_iter()
            .find(|shard| !is_file_name(shard))
        {
            return Err(format!(
                "it names the shard `{shard}`, and a shard is a file beside the index, without a path"
            )
            .into());
        }
        Ok(index)
    }

    /// The shards' file names, sorted, without duplicates.
    pub(super) fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Each tensor with the shard that the index assigns to it.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.weight_map
            .iter()
            .map(|(name, shard)| (name.as_str(), shard.as_str()))
    }

    /// Whether to take a tensor of this name from that shard. Tensors that the index does not list are taken from any
    /// shard, as transformers does.
    pub(super) fn may_be_in(&self, name: &str, shard: &str) -> bool {
        self.weight_map
            .get(name)
            .is_none_or(|listed| listed == shard)
    }
}

/// Reads the file names of the shards that an index lists, sorted, without duplicates. They are in the index's folder.
///
/// # Errors
/// If the index can't be read, or names files outside its folder.
pub fn shards_of(index: &Path) -> Result<Vec<String>, ExportError> {
    let shards = Index::read(index).map_err(|error| error.at(index))?;
    Ok(shards.shards().into_iter().map(str::to_owned).collect())
}

/// Whether a name is a plain file name, without a folder, on any operating system.
fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let single =
        matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none();
    single && !name.contains(['/', '\\', ':', '\0'])
}
