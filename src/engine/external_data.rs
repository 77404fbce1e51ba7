//! Reads tensor values from files: those beside a graph, or the graph's own, in which [`detach`](super::detach) left
//! them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result as IoResult, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use bytemuck::Pod;

use super::EngineError;
use crate::files;
use crate::onnx;

/// The files of a graph's tensors, each opened once.
pub struct ExternalData<'a> {
    graph_path: &'a Path,
    files: HashMap<PathBuf, File>,
}

impl<'a> ExternalData<'a> {
    /// For a graph whose data files are in its folder.
    pub fn beside(graph_path: &'a Path) -> Self {
        Self {
            graph_path,
            files: HashMap::new(),
        }
    }

    /// Reads a tensor's values.
    ///
    /// # Errors
    /// If the file is missing or too short, or the tensor's description contradicts itself or leaves the graph's
    /// folder.
    pub fn values<T: Pod>(&mut self, tensor: &onnx::Tensor) -> Result<Vec<T>, EngineError> {
        let path = self.path(tensor)?;
        let place = DataPlace::of(tensor).map_err(|reason| self.damaged(tensor, &reason))?;
        self.read(&path, &place).map_err(|error| EngineError::Load {
            reason: format!("{} bytes from {}: {error}", place.length, place.offset),
            path,
        })
    }

    /// Checks the file that holds a tensor's values, for ONNX Runtime, which opens it itself.
    ///
    /// # Errors
    /// If the tensor names no regular file in the graph's folder.
    pub fn check(&self, tensor: &onnx::Tensor) -> Result<(), EngineError> {
        let path = self.path(tensor)?;
        files::check(&path).map_err(|error| EngineError::Load {
            reason: error.to_string(),
            path,
        })
    }

    /// The file that holds a tensor's values.
    ///
    /// # Errors
    /// If the tensor names no file in the graph's folder.
    fn path(&self, tensor: &onnx::Tensor) -> Result<PathBuf, EngineError> {
        let folder = self.graph_path.parent().unwrap_or(Path::new(""));
        let file = file_of(tensor).map_err(|reason| self.damaged(tensor, &reason))?;
        Ok(folder.join(file))
    }

    /// An error about a tensor's data.
    pub fn damaged(&self, tensor: &onnx::Tensor, reason: &str) -> EngineError {
        EngineError::Load {
            path: self.graph_path.to_path_buf(),
            reason: format!("its tensor `{}` {reason}", tensor.name),
        }
    }

    /// Checks the length against the file's size before allocating, so that a false length can't exhaust memory.
    fn read<T: Pod>(&mut self, path: &Path, place: &DataPlace) -> IoResult<Vec<T>> {
        if !self.files.contains_key(path) {
            self.files.insert(path.to_path_buf(), files::open(path)?);
        }
        let Some(file) = self.files.get_mut(path) else {
            return Err(ErrorKind::NotFound.into());
        };
        let end = place.offset.checked_add(place.length as u64);
        if end.is_none_or(|end| file.metadata().map_or(0, |metadata| metadata.len()) < end) {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the file is too short",
            ));
        }
        file.seek(SeekFrom::Start(place.offset))?;
        // ONNX data is little-endian, as is every processor that ONNX Runtime has a build for.
        let mut values = vec![T::zeroed(); place.length / size_of::<T>()];
        file.read_exact(bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }
}

/// Position of a tensor's data in its file.
struct DataPlace {
    offset: u64,
    length: usize,
}

impl DataPlace {
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
}

/// Size in bytes of a tensor with this shape and type.
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
        "has {bytes} bytes, and its shape {shape:?} needs {wanted}"
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
