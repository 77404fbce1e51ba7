//! Reads a graph's weights once, from the graph or from the file beside it, to be shared by all sessions of the model.

use std::collections::HashMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

use super::EngineError;
use crate::onnx::{self, DataLocation, DataType};

/// A weight by the name it has in the graph.
pub type SharedWeight = (String, Arc<DynValue>);

/// Tensors inside a graph are shared from this many bytes on: smaller ones are not worth a place in every session's list.
const WORTH_SHARING: usize = 1024;

/// Takes the large tensors out of a graph that was read: whole where the graph holds them itself, by reading them where
/// they are in a file of their own. What is left, and 16-bit floats, which ONNX Runtime widens for itself on the CPU, each
/// session reads for itself.
///
/// # Errors
/// As [`read_external`], and where a tensor in the graph has more or fewer bytes than its shape wants.
pub fn take_shared(
    model: &mut onnx::Model,
    graph_path: &Path,
) -> Result<Vec<SharedWeight>, EngineError> {
    let mut weights = read_external(model, graph_path)?;
    let initializers = model
        .graph
        .iter_mut()
        .flat_map(|graph| &mut graph.initializer);
    for tensor in initializers.filter(|tensor| tensor.raw_data.len() >= WORTH_SHARING) {
        // Freed as soon as it is copied, so that no second copy of all weights is there at once.
        let bytes = std::mem::take(&mut tensor.raw_data);
        let value = match tensor.data_type() {
            DataType::Float => embedded::<f32>(tensor, bytes),
            DataType::Int8 => embedded::<i8>(tensor, bytes),
            DataType::Uint8 => embedded::<u8>(tensor, bytes),
            _ => continue,
        };
        let value = value.map_err(|reason| damaged(graph_path, tensor, &reason))?;
        weights.push((tensor.name.clone(), Arc::new(value)));
    }
    Ok(weights)
}

/// Reads every tensor of a type that can be shared that the graph keeps in a file of its own.
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
        .filter_map(|tensor| {
            let place = match Place::of(tensor) {
                Ok(place) => place,
                Err(reason) => return Some(Err(damaged(graph_path, tensor, &reason))),
            };
            let path = folder.join(&place.file);
            let value = match tensor.data_type() {
                DataType::Float => place.tensor::<f32>(tensor, &mut files, &path),
                DataType::Int8 => place.tensor::<i8>(tensor, &mut files, &path),
                DataType::Uint8 => place.tensor::<u8>(tensor, &mut files, &path),
                _ => return None,
            };
            Some(value.map(|value| (tensor.name.clone(), Arc::new(value))))
        })
        .collect()
}

fn damaged(graph_path: &Path, tensor: &onnx::Tensor, reason: &str) -> EngineError {
    EngineError::Load {
        path: graph_path.to_path_buf(),
        reason: format!("its tensor `{}` {reason}", tensor.name),
    }
}

/// Bytes that a tensor's shape wants.
fn wanted_bytes(tensor: &onnx::Tensor) -> Result<usize, String> {
    let size = tensor.data_type().size();
    let bytes = tensor.dims.iter().try_fold(size, |product, dimension| {
        usize::try_from(*dimension)
            .ok()
            .and_then(|dimension| product.checked_mul(dimension))
    });
    bytes.ok_or_else(|| format!("has the impossible shape {:?}", tensor.dims))
}

/// A tensor whose data the graph holds.
fn embedded<T: PrimitiveTensorElementType + Pod + Debug>(
    tensor: &onnx::Tensor,
    bytes: Vec<u8>,
) -> Result<DynValue, String> {
    let wanted = wanted_bytes(tensor)?;
    if bytes.len() != wanted {
        return Err(format!(
            "has {} bytes, and its shape {:?} wants {wanted}",
            bytes.len(),
            tensor.dims
        ));
    }
    // Little-endian, as below. A copy, since bytes need not be aligned as T is.
    let mut values = vec![T::zeroed(); wanted / size_of::<T>()];
    bytemuck::cast_slice_mut(&mut values).copy_from_slice(&bytes);
    drop(bytes);
    let value = Tensor::from_array((tensor.dims.clone(), values));
    value
        .map(Tensor::into_dyn)
        .map_err(|error| format!("can't be handed to ONNX Runtime: {error}"))
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
        let wanted = wanted_bytes(tensor)?;
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
        let load = |path: &Path, reason: String| EngineError::Load {
            path: path.to_path_buf(),
            reason,
        };
        let values: Vec<T> = self.read(files, path).map_err(|error| {
            let place = format!("{} bytes from {}", self.length, self.offset);
            load(path, format!("{place}: {error}"))
        })?;
        let value = Tensor::from_array((tensor.dims.clone(), values)).map_err(|error| {
            let name = &tensor.name;
            load(
                path,
                format!("its tensor `{name}` can't be handed to ONNX Runtime: {error}"),
            )
        })?;
        Ok(value.into_dyn())
    }

    /// Bounded by the file's size before any memory is taken, so that a graph that lies can't exhaust it.
    fn read<T: Pod>(
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
