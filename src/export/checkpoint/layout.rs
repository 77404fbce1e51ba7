//! Files that can hold a checkpoint's weights.

use std::path::{Path, PathBuf};

/// Layouts by file name, in transformers' order of preference.
const WEIGHTS: [(&str, Layout); 4] = [
    ("model.safetensors", Layout::File(Format::Safetensors)),
    (
        "model.safetensors.index.json",
        Layout::Shards(Format::Safetensors),
    ),
    ("pytorch_model.bin", Layout::File(Format::Torch)),
    (
        "pytorch_model.bin.index.json",
        Layout::Shards(Format::Torch),
    ),
];

/// A single file, or the index of several shards.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    File(Format),
    Shards(Format),
}

#[derive(Clone, Copy)]
pub(super) enum Format {
    Safetensors,
    Torch,
}

/// Whether a folder holds weights in a supported format. Opens no file.
#[must_use]
pub fn is_checkpoint(folder: &Path) -> bool {
    find_weights(folder).is_some()
}

/// Finds the weights of a folder, or the index of their shards.
pub(super) fn find_weights(folder: &Path) -> Option<(PathBuf, Layout)> {
    WEIGHTS
        .iter()
        .map(|(name, layout)| (folder.join(name), *layout))
        .find(|(path, _)| path.is_file())
}
