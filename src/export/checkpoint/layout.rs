//! The files that a checkpoint's weights may be in.

use std::path::{Path, PathBuf};

/// The layouts of weights by the name of their file, the preferred one first, as in transformers.
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

/// One file, or the index of several.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    File(Format),
    Shards(Format),
}

/// How a file says where its tensors lie.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Safetensors,
    Torch,
}

/// Whether a folder holds weights of any kind that can be read. Nothing is opened.
#[must_use]
pub fn is_checkpoint(folder: &Path) -> bool {
    find_weights(folder).is_some()
}

/// The weights of a folder, or the index of their shards.
pub(super) fn find_weights(folder: &Path) -> Option<(PathBuf, Layout)> {
    WEIGHTS
        .iter()
        .map(|(name, layout)| (folder.join(name), *layout))
        .find(|(path, _)| path.is_file())
}
