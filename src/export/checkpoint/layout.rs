//! Files that can hold a checkpoint's weights.

use std::path::{Path, PathBuf};

/// Layouts by file name, in transformers' order of preference.
const WEIGHTS: [(&str, CheckpointLayout); 4] = [
    (
        "model.safetensors",
        CheckpointLayout::File(CheckpointFormat::Safetensors),
    ),
    (
        "model.safetensors.index.json",
        CheckpointLayout::Shards(CheckpointFormat::Safetensors),
    ),
    (
        "pytorch_model.bin",
        CheckpointLayout::File(CheckpointFormat::Torch),
    ),
    (
        "pytorch_model.bin.index.json",
        CheckpointLayout::Shards(CheckpointFormat::Torch),
    ),
];

/// A single file, or the index of several shards.
#[derive(Clone, Copy)]
pub(super) enum CheckpointLayout {
    File(CheckpointFormat),
    Shards(CheckpointFormat),
}

#[derive(Clone, Copy)]
pub(super) enum CheckpointFormat {
    Safetensors,
    Torch,
}

/// Whether a folder holds weights in a supported format. Opens no file.
#[must_use]
pub fn is_checkpoint(folder: &Path) -> bool {
    find_weights(folder).is_some()
}

/// Finds the weights of a folder, or the index of their shards.
pub(super) fn find_weights(folder: &Path) -> Option<(PathBuf, CheckpointLayout)> {
    WEIGHTS
        .iter()
        .map(|(name, layout)| (folder.join(name), *layout))
        .find(|(path, _)| path.exists())
}
