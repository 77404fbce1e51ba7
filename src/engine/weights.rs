//! Reads a graph's weights once, to be shared by all sessions of the model, and by other models that have the same: from the file beside it, or from its own, in
//! which [`detach`](super::detach) left them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use half::f16;
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

use super::EngineError;
use super::shared_weights::SharedWeights;
use crate::onnx::{self, DataLocation, DataType};

/// A weight by the name it has in the graph.
pub type SharedWeight = (String, Arc<DynValue>);

/// Reads the weights that the graph keeps in a file of its own.
///
/// # Errors
/// Where a file is missing or too short, or a tensor's description contradicts itself or points out of the folder.
pub fn read_external(
    model: &onnx::Model,
    graph_path: &Path,
    in_use: &SharedWeights,
) -> Result<Vec<SharedWeight>, EngineError> {
    let folder = graph_path.parent().unwrap_or(Path::new(""));
    let mut reading = Reading {
        files: HashMap::new(),
        in_use,
    };
    let initializers = model.graph.iter().flat_map(|graph| &graph.initializer);
    let external = initializers.filter(|tensor| tensor.data_location() == DataLocation::External);
    let weights = external.map(|tensor| {
        let damaged = |reason: String| damaged(graph_path, tensor, &reason);
        // Also of those that ONNX Runtime reads.
        let path = folder.join(file_of(tensor).map_err(damaged)?);
        let place = || Place::of(tensor).map_err(damaged);
        let value = match tensor.data_type() {
            DataType::Float => place()?.tensor::<f32>(tensor, &mut reading, &path)?,
            DataType::Float16 => place()?.tensor::<f16>(tensor, &mut reading, &path)?,
            DataType::Int8 => place()?.tensor::<i8>(tensor, &mut reading, &path)?,
            DataType::Uint8 => place()?.tensor::<u8>(tensor, &mut reading, &path)?,
            _ => return Ok(None),
        };
        Ok(Some((tensor.name.clone(), value)))
    });
    weights.filter_map(Result::transpose).collect()
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

fn check_length(tensor: &onnx::Tensor, bytes: u64, wanted: usize) -> Result<(), String> {
    if bytes == wanted as u64 {
        return Ok(());
    }
    let shape = &tensor.dims;
    Err(format!(
        "has {bytes} bytes, and its shape {shape:?} wants {wanted}"
    ))
}

/// The file that holds a tensor's data, in the graph's folder.
fn file_of(tensor: &onnx::Tensor) -> Result<&Path, String> {
    let file = Path::new(onnx::entry(&tensor.external_data, "location").ok_or("names no file")?);
    let mut components = file.components();
    if components.all(|component| matches!(component, Component::Normal(_))) {
        Ok(file)
    } else {
        let file = file.display();
        Err(format!(
            "names the file {file}, which is not in the graph's folder"
        ))
    }
}

/// What reading the tensors of a graph takes.
struct Reading<'a> {
    files: HashMap<PathBuf, File>,
    in_use: &'a SharedWeights,
}

/// Where in its file a tensor's data is.
struct Place {
    offset: u64,
    length: usize,
}

impl Place {
    fn of(tensor: &onnx::Tensor) -> Result<Self, String> {
        let number = |key: &str, text: &str| {
            text.parse::<u64>()
                .map_err(|_| format!("has the {key} `{text}`"))
        };
        let offset = onnx::entry(&tensor.external_data, "offset")
            .map_or(Ok(0), |text| number("offset", text))?;
        let wanted = wanted_bytes(tensor)?;
        if let Some(text) = onnx::entry(&tensor.external_data, "length") {
            check_length(tensor, number("length", text)?, wanted)?;
        }
        Ok(Self {
            offset,
            length: wanted,
        })
    }

    /// The tensor, read straight into its memory.
    fn tensor<T: PrimitiveTensorElementType + Pod + Debug>(
        &self,
        tensor: &onnx::Tensor,
        reading: &mut Reading,
        path: &Path,
    ) -> Result<Arc<DynValue>, EngineError> {
        let values: Vec<T> = self.read(&mut reading.files, path)?;
        hand_over(tensor, values, path, reading.in_use)
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

/// The values as a tensor of ONNX Runtime's, or the same tensor of another model.
fn hand_over<T: PrimitiveTensorElementType + Pod + Debug>(
    tensor: &onnx::Tensor,
    values: Vec<T>,
    path: &Path,
    in_use: &SharedWeights,
) -> Result<Arc<DynValue>, EngineError> {
    if let Some(known) = in_use.find(&tensor.dims, &values) {
        return Ok(known);
    }
    let value = Tensor::from_array((tensor.dims.clone(), values)).map_err(|error| {
        let name = &tensor.name;
        EngineError::Load {
            path: path.to_path_buf(),
            reason: format!("its tensor `{name}` can't be handed to ONNX Runtime: {error}"),
        }
    })?;
    let value = Arc::new(value.into_dyn());
    in_use.add(&value);
    Ok(value)
}
