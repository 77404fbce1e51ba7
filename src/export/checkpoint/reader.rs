//! An open checkpoint, which reads one tensor at a time as 32-bit floats.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::layout::{CheckpointFormat, CheckpointLayout, find_weights};
use super::names::{self, canonical};
use super::pruning::{self, Pruned};
use super::tensor::{NumberType, StoredTensor, Tensors};
use super::weights_error::WeightsError;
use super::{safetensors, shards, torch};
use crate::export::ExportError;
use crate::files;
use crate::model_config::ModelShape;

impl CheckpointFormat {
    /// The tensors of a file, by their names in it.
    fn tensors(self, file: &File) -> Result<Tensors, WeightsError> {
        refuse_pointer(file)?;
        match self {
            Self::Safetensors => safetensors::tensors(file),
            Self::Torch => torch::tensors(file),
        }
    }
}

/// An open checkpoint. Only the table of tensor names and positions is in memory.
#[derive(Debug)]
pub struct Checkpoint {
    /// The weights file, or the index of its shards.
    path: PathBuf,
    files: Vec<WeightsFile>,
    /// By canonical name, with the file as an index into `files`.
    tensors: BTreeMap<String, (usize, StoredTensor)>,
    /// Names in the files, for tensors whose canonical name differs.
    spelled: BTreeMap<String, String>,
    /// Names in their files of tensors that are ignored because another has the same canonical name.
    shadowed: Vec<String>,
    /// Tensors to restore to their full size, by name.
    pruned: BTreeMap<String, Pruned>,
}

#[derive(Debug)]
struct WeightsFile {
    path: PathBuf,
    file: File,
}

impl Checkpoint {
    /// Opens the weights in a checkpoint's folder and checks that the sizes they claim fit into their files. The first
    /// that exists is used: `model.safetensors`, its shards, `pytorch_model.bin`, its shards.
    ///
    /// A pickle in a `pytorch_model.bin` is read as data; nothing in it is ever executed.
    ///
    /// # Errors
    /// If there are no weights, or a file is damaged, truncated, or holds objects that weights do not need.
    pub fn open(folder: &Path) -> Result<Self, ExportError> {
        let (path, layout) = find_weights(folder).ok_or_else(|| ExportError::NoWeights {
            folder: folder.to_path_buf(),
        })?;
        let mut checkpoint = Self {
            path: path.clone(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            spelled: BTreeMap::new(),
            shadowed: Vec::new(),
            pruned: BTreeMap::new(),
        };
        match layout {
            CheckpointLayout::File(format) => checkpoint.add(path, format, |_| true)?,
            CheckpointLayout::Shards(format) => {
                let index = shards::Index::read(&path).map_err(|error| error.at(&path))?;
                for shard in index.shards() {
                    let path = folder.join(shard);
                    if !path.exists() {
                        let reason = format!(
                            "it names the shard `{shard}`, which does not exist; the checkpoint needs all of its shards"
                        );
                        return Err(WeightsError::Invalid(reason).at(&checkpoint.path));
                    }
                    checkpoint.add(path, format, |name| index.may_be_in(name, shard))?;
                }
                for (name, shard) in index.tensors() {
                    if !checkpoint.contains(&canonical(name)) {
                        let reason = format!(
                            "it lists tensor `{name}` in `{shard}`, which does not contain it"
                        );
                        return Err(WeightsError::Invalid(reason).at(&checkpoint.path));
                    }
                }
            }
        }
        checkpoint.unwrap()?;
        Ok(checkpoint)
    }

    /// Strips the prefix from tensor names, if the model is part of a larger module.
    fn unwrap(&mut self) -> Result<(), ExportError> {
        let prefix = names::prefix(self.names()).map_err(|prefixes| {
            let reason = format!(
                "it holds several models, under {}; save the one to serve with save_pretrained() of transformers",
                prefixes.join(" and ")
            );
            WeightsError::Invalid(reason).at(&self.path)
        })?;
        if !prefix.is_empty() {
            let prefix = prefix.to_owned();
            let tensors = std::mem::take(&mut self.tensors).into_iter();
            self.tensors = tensors
                .map(|(name, tensor)| match name.strip_prefix(&prefix) {
                    Some(own) => (own.to_owned(), tensor),
                    None => (name, tensor),
                })
                .collect();
        }
        Ok(())
    }

    /// Makes reads of attention tensors with pruned heads return their full size, with zeros for those heads.
    ///
    /// # Errors
    /// If a tensor does not have the shape that pruning leaves.
    pub fn restore_pruned_heads(&mut self, shape: &ModelShape) -> Result<(), ExportError> {
        let pruned: BTreeMap<_, _> = pruning::tensors(shape).collect();
        let mistakes: Vec<String> = pruned
            .iter()
            .filter_map(|(name, pruned)| {
                let (found, wanted) = (self.shape(name)?, &pruned.stored_shape);
                (found != wanted.as_slice()).then(|| {
                    format!("`{name}` has shape {found:?}; without the heads in pruned_heads it has {wanted:?}")
                })
            })
            .collect();
        if !mistakes.is_empty() {
            return Err(ExportError::Tensors { mistakes });
        }
        self.pruned = pruned;
        Ok(())
    }

    /// Size of all weights files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let sizes = self.files.iter().map(|found| found.file.metadata());
        sizes.flatten().map(|metadata| metadata.len()).sum()
    }

    /// Tensors that are ignored because another tensor has the same name, apart from wrappers and old spellings.
    #[must_use]
    pub fn shadowed(&self) -> &[String] {
        &self.shadowed
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Adds those tensors of a file that are `wanted`.
    fn add(
        &mut self,
        path: PathBuf,
        format: CheckpointFormat,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), ExportError> {
        let file = files::open(&path).map_err(|error| WeightsError::Read(error).at(&path))?;
        let tensors = format.tensors(&file).map_err(|error| error.at(&path))?;
        let index = self.files.len();
        self.files.push(WeightsFile { path, file });
        for (name, tensor) in tensors.into_iter().filter(|(name, _)| wanted(name)) {
            let canonical = canonical(&name);
            match self.tensors.entry(canonical.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert((index, tensor));
                    if canonical != name {
                        self.spelled.insert(canonical, name);
                    }
                }
                // If a name occurs in two spellings, the canonical one is used.
                Entry::Occupied(mut entry) if canonical == name => {
                    entry.insert((index, tensor));
                    self.shadowed.extend(self.spelled.remove(&canonical));
                }
                Entry::Occupied(_) => self.shadowed.push(name),
            }
        }
        Ok(())
    }

    /// The shape of a tensor, or `None` if the checkpoint has no tensor of that name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let (_, tensor) = self.tensors.get(name)?;
        let pruned = self.pruned.get(name).map(|pruned| pruned.shape.as_slice());
        Some(pruned.unwrap_or_else(|| tensor.shape()))
    }

    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Reads one tensor, row-major, converted to 32-bit floats.
    ///
    /// # Errors
    /// If the tensor is missing, can't be read, or is not fp64, fp32, fp16 or bf16.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, ExportError> {
        let found = self.tensors.get(name);
        let found = found.and_then(|(file, tensor)| Some((self.files.get(*file)?, tensor)));
        let Some((WeightsFile { path, file }, tensor)) = found else {
            return Err(WeightsError::Invalid(format!("it has no tensor `{name}`")).at(&self.path));
        };
        match tensor.number_type() {
            NumberType::Float(numbers) => {
                let values = tensor
                    .values(file, *numbers)
                    .map_err(|error| WeightsError::Read(error).at(path))?;
                let pruned = self.pruned.get(name);
                Ok(match pruned {
                    Some(pruned) => pruned.restore(&values),
                    None => values,
                })
            }
            NumberType::Other(numbers) => Err(WeightsError::Invalid(format!(
                "tensor `{name}` holds {numbers}; only F64, F32, F16 and BF16 can be exported"
            ))
            .at(path)),
        }
    }
}

/// Refuses a Git LFS pointer: a few lines of text in place of a file that Git left out of a clone.
fn refuse_pointer(mut file: &File) -> Result<(), WeightsError> {
    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
    let mut start = Vec::with_capacity(POINTER.len());
    file.seek(SeekFrom::Start(0))?;
    file.take(POINTER.len() as u64).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    if start == POINTER {
        return Err(WeightsError::Invalid(
            "it is a Git LFS pointer, not the weights themselves; fetch them with `git lfs pull`"
                .to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
