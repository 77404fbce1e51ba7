//! A checkpoint's weights, in any of the four layouts that transformers writes: one tensor at a time, as 32-bit floats.
//!
//! Every layout comes down to the same: a table of names, and for each the place in a file where its numbers lie
//! uncompressed. Opening a checkpoint reads that table alone; numbers are read when they are asked for.

mod safetensors;
mod shards;
mod tensor;
mod torch;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use self::tensor::{NumberType, StoredTensor};
use super::ExportError;

/// The kinds of weights, the preferred one first, as in transformers.
const WEIGHTS: [(&str, Kind); 4] = [
    ("model.safetensors", Kind::File(Format::Safetensors)),
    (
        "model.safetensors.index.json",
        Kind::Shards(Format::Safetensors),
    ),
    ("pytorch_model.bin", Kind::File(Format::Torch)),
    ("pytorch_model.bin.index.json", Kind::Shards(Format::Torch)),
];

#[derive(Clone, Copy)]
enum Kind {
    File(Format),
    Shards(Format),
}

#[derive(Clone, Copy)]
enum Format {
    Safetensors,
    Torch,
}

impl Format {
    /// The tensors of a file, by the names that it gives them.
    fn tensors(self, file: &File) -> Result<Tensors, WeightsError> {
        refuse_pointer(file)?;
        match self {
            Self::Safetensors => safetensors::tensors(file),
            Self::Torch => torch::tensors(file),
        }
    }
}

/// Where the tensors of one file lie, by name.
type Tensors = BTreeMap<String, StoredTensor>;

/// Whether a folder holds weights of any kind that can be read. Nothing is opened.
#[must_use]
pub fn is_checkpoint(folder: &Path) -> bool {
    weights(folder).is_some()
}

fn weights(folder: &Path) -> Option<(PathBuf, Kind)> {
    WEIGHTS
        .iter()
        .map(|(name, kind)| (folder.join(name), *kind))
        .find(|(path, _)| path.is_file())
}

/// An open checkpoint. Of its weights only the table of names and places is held in memory.
#[derive(Debug)]
pub struct Checkpoint {
    /// The weights file, or the index of its shards.
    path: PathBuf,
    files: Vec<WeightsFile>,
    /// By name, with the file as an index into `files`.
    tensors: BTreeMap<String, (usize, StoredTensor)>,
}

#[derive(Debug)]
struct WeightsFile {
    path: PathBuf,
    file: File,
}

impl Checkpoint {
    /// Opens the weights in a checkpoint's folder and checks that what they claim fits into their files. The first that
    /// is there counts: `model.safetensors`, its shards, `pytorch_model.bin`, its shards.
    ///
    /// A pickle in a `pytorch_model.bin` is read as data; nothing in it is ever executed.
    ///
    /// # Errors
    /// Where there are no weights, or a file is damaged, cut short, or holds what weights do not need.
    pub fn open(folder: &Path) -> Result<Self, ExportError> {
        let (path, kind) = weights(folder).ok_or_else(|| ExportError::NoWeights {
            folder: folder.to_path_buf(),
        })?;
        let mut checkpoint = Self {
            path: path.clone(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
        };
        match kind {
            Kind::File(format) => checkpoint.add(path, format, |_| true)?,
            Kind::Shards(format) => {
                let index = shards::Index::read(&path).map_err(|error| error.at(&path))?;
                for shard in index.shards() {
                    let path = folder.join(shard);
                    if !path.is_file() {
                        let reason = format!(
                            "it names the shard `{shard}`, which is not there; the checkpoint needs all of its shards"
                        );
                        return Err(WeightsError::Invalid(reason).at(&checkpoint.path));
                    }
                    checkpoint.add(path, format, |name| index.may_be_in(name, shard))?;
                }
                for (name, shard) in index.tensors() {
                    if !checkpoint.contains(&canonical(name)) {
                        let reason = format!(
                            "it says that tensor `{name}` is in `{shard}`, which has none of that name"
                        );
                        return Err(WeightsError::Invalid(reason).at(&checkpoint.path));
                    }
                }
            }
        }
        Ok(checkpoint)
    }

    /// Adds the tensors of a file that are `wanted`.
    fn add(
        &mut self,
        path: PathBuf,
        format: Format,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), ExportError> {
        let file = File::open(&path).map_err(|error| WeightsError::Read(error).at(&path))?;
        let tensors = format.tensors(&file).map_err(|error| error.at(&path))?;
        let index = self.files.len();
        self.files.push(WeightsFile { path, file });
        for (name, tensor) in tensors.into_iter().filter(|(name, _)| wanted(name)) {
            let canonical = canonical(&name);
            match self.tensors.entry(canonical.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert((index, tensor));
                }
                // Two spellings of one name: the usual one counts.
                Entry::Occupied(mut entry) if canonical == name => {
                    entry.insert((index, tensor));
                }
                Entry::Occupied(_) => {}
            }
        }
        Ok(())
    }

    /// The shape of a tensor, or `None` where the checkpoint has none of that name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, tensor)| tensor.shape())
    }

    /// Whether the checkpoint has a tensor of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Reads one tensor, row-major, converted to 32-bit floats.
    ///
    /// # Errors
    /// Where the tensor is missing, can't be read, or holds something other than fp64, fp32, fp16 or bf16.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, ExportError> {
        let found = self.tensors.get(name);
        let found = found.and_then(|(file, tensor)| Some((self.files.get(*file)?, tensor)));
        let Some((WeightsFile { path, file }, tensor)) = found else {
            return Err(WeightsError::Invalid(format!("it has no tensor `{name}`")).at(&self.path));
        };
        match tensor.number_type() {
            NumberType::Float(numbers) => tensor
                .values(file, *numbers)
                .map_err(|error| WeightsError::Read(error).at(path)),
            NumberType::Other(numbers) => Err(WeightsError::Invalid(format!(
                "tensor `{name}` holds {numbers}; only F64, F32, F16 and BF16 can be exported"
            ))
            .at(path)),
        }
    }
}

/// A tensor's name as transformers spells it today. Old checkpoints, converted from TensorFlow, have `gamma` and `beta`
/// in LayerNorm's keys; those saved out of `DataParallel` begin every key with `module.`.
fn canonical(name: &str) -> String {
    let name = name.strip_prefix("module.").unwrap_or(name);
    for (old, new) in [
        ("LayerNorm.gamma", "LayerNorm.weight"),
        ("LayerNorm.beta", "LayerNorm.bias"),
    ] {
        if let Some(prefix) = name.strip_suffix(old) {
            return format!("{prefix}{new}");
        }
    }
    name.to_owned()
}

/// A file that Git left out of a clone stands there as a few lines of text.
fn refuse_pointer(mut file: &File) -> Result<(), WeightsError> {
    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
    let mut start = Vec::with_capacity(POINTER.len());
    file.seek(SeekFrom::Start(0))?;
    file.take(POINTER.len() as u64).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    if start == POINTER {
        return Err(WeightsError::Invalid(
            "it is a pointer of Git LFS and not the weights themselves; fetch them with `git lfs pull`"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Why a weights file can't be read, before its path is told.
#[derive(Debug)]
enum WeightsError {
    Read(io::Error),
    Invalid(String),
}

impl WeightsError {
    fn at(self, path: &Path) -> ExportError {
        let path = path.to_path_buf();
        match self {
            Self::Read(error) => ExportError::Read { path, error },
            Self::Invalid(reason) => ExportError::Weights { path, reason },
        }
    }
}

impl From<io::Error> for WeightsError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<String> for WeightsError {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
