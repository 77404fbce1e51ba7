//! Reads a graph's weights from the file beside it once, to be shared by all sessions of the model.

use std::collections::HashMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use half::f16;
use half::vec::HalfBitsVecExt;
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

use super::EngineError;
use crate::onnx::{self, DataLocation, DataType};

/// A weight by the name it has in the graph.
pub type SharedWeight = (String, Arc<DynValue>);

/// Reads every tensor that the graph keeps in a file of its own.
///
/// # Errors
/// Where a file is missing or too short, or a tensor's description contradicts itself or points out of the folder.
pub fn read_external(
    model: &onnx::Model,
    graph_path: &Path,
) -> Result<Vec<SharedWeight>, EngineError> {
    let folder = graph_path.parent().unwrap_or(Path::new(""));
    let mut files = HashMap::new();
    let initializers = model.graph.iter().flat_map(|graph| &graph.initializer);
    initializers
        .filter(|tensor| tensor.data_location() == DataLocation::External)
        .map(|tensor| {
            let damaged = |reason: String| EngineError::Load {
                path: graph_path.to_path_buf(),
                reason: format!("its tensor `{}` {reason}", tensor.name),
            };
            let place = Place::of(tensor).map_err(damaged)?;
            let path = folder.join(&place.file);
            let value = match tensor.data_type() {
                DataType::Float => place.tensor::<f32>(tensor, &mut files, &path),
                DataType::Float16 => place.halves(tensor, &mut files, &path),
                DataType::Int8 => place.tensor::<i8>(tensor, &mut files, &path),
                other => Err(damaged(format!(
                    "holds {other:?}, which no exported graph keeps in a file"
                ))),
            }?;
            Ok((tensor.name.clone(), Arc::new(value)))
        })
        .collect()
}

/// Where a tensor's data is.
struct Place {
    file: PathBuf,
    offset: u64,
    length: usize,
}

impl Place {
    fn of(tensor: &onnx::Tensor) -> Result<Self, String> {
        let entry = |key: &str| {
            tensor
                .external_data
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &entry.value)
        };
        let file = PathBuf::from(entry("location").ok_or("names no file")?);
        if !file
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
        {
            return Err(format!(
                "names the file {}, which is not in the graph's folder",
                file.display()
            ));
        }
        let number = |key: &str, text: &String| {
            text.parse::<u64>()
                .map_err(|_| format!("has the {key} `{text}`"))
        };
        let offset = entry("offset").map_or(Ok(0), |text| number("offset", text))?;
        let elements = tensor.dims.iter().try_fold(1_usize, |product, size| {
            usize::try_from(*size)
                .ok()
                .and_then(|size| product.checked_mul(size))
        });
        let wanted = elements.and_then(|elements| elements.checked_mul(tensor.data_type().size()));
        let wanted = wanted.ok_or_else(|| format!("has the impossible shape {:?}", tensor.dims))?;
        if let Some(text) = entry("length")
            && number("length", text)? != wanted as u64
        {
            return Err(format!(
                "has {text} bytes, and its shape {:?} wants {wanted}",
                tensor.dims
            ));
        }
        Ok(Self {
            file,
            offset,
            length: wanted,
        })
    }

    /// The tensor, read straight into its memory.
    fn tensor<T: PrimitiveTensorElementType + Pod + Debug>(
        &self,
        tensor: &onnx::Tensor,
        files: &mut HashMap<PathBuf, File>,
        path: &Path,
    ) -> Result<DynValue, EngineError> {
        let values: Vec<T> = self.read(files, path)?;
        hand_over(tensor, values, path)
    }

    /// The same of 16-bit floats, which are read as the numbers that have their bits.
    fn halves(
        &self,
        tensor: &onnx::Tensor,
        files: &mut HashMap<PathBuf, File>,
        path: &Path,
    ) -> Result<DynValue, EngineError> {
        let bits: Vec<u16> = self.read(files, path)?;
        hand_over(tensor, bits.reinterpret_into::<f16>(), path)
    }

    fn read<T: Pod>(
        &self,
        files: &mut HashMap<PathBuf, File>,
        path: &Path,
    ) -> Result<Vec<T>, EngineError> {
        self.read_from(files, path)
            .map_err(|error| EngineError::Load {
                path: path.to_path_buf(),
                reason: format!("{} bytes from {}: {error}", self.length, self.offset),
            })
    }

    /// Bounded by the file's size before any memory is taken, so that a graph that lies can't exhaust it.
    fn read_from<T: Pod>(
        &self,
        files: &mut HashMap<PathBuf, File>,
        path: &Path,
    ) -> std::io::Result<Vec<T>> {
        if !files.contains_key(path) {
            files.insert(path.to_path_buf(), File::open(path)?);
        }
        let Some(file) = files.get_mut(path) else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let end = self.offset.checked_add(self.length as u64);
        if end.is_none_or(|end| file.metadata().map_or(0, |metadata| metadata.len()) < end) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "the file is too short",
            ));
        }
        file.seek(SeekFrom::Start(self.offset))?;
        // ONNX's files are little-endian, as is every processor that ONNX Runtime has a build for.
        let mut values = vec![T::zeroed(); self.length / size_of::<T>()];
        file.read_exact(bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }
}

fn hand_over<T: PrimitiveTensorElementType + Clone + Debug + 'static>(
    tensor: &onnx::Tensor,
    values: Vec<T>,
    path: &Path,
) -> Result<DynValue, EngineError> {
    let value = Tensor::from_array((tensor.dims.clone(), values)).map_err(|error| {
        let name = &tensor.name;
        EngineError::Load {
            path: path.to_path_buf(),
            reason: format!("its tensor `{name}` can't be handed to ONNX Runtime: {error}"),
        }
    })?;
    Ok(value.into_dyn())
}
