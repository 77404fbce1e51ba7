//! Reads a graph's weights from the file beside it once, to be shared by all sessions of the model.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ort::value::{DynValue, Tensor};

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
            let data = place
                .read(&mut files, &path)
                .map_err(|error| EngineError::Load {
                    path: path.clone(),
                    reason: format!("{} bytes from {}: {error}", place.length, place.offset),
                })?;
            let value = value(tensor, &data).map_err(damaged)?;
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

    /// Bounded by the file's size before any memory is taken, so that a graph that lies can't exhaust it.
    fn read(&self, files: &mut HashMap<PathBuf, File>, path: &Path) -> std::io::Result<Vec<u8>> {
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
        let mut data = vec![0; self.length];
        file.read_exact(&mut data)?;
        Ok(data)
    }
}

fn value(tensor: &onnx::Tensor, data: &[u8]) -> Result<DynValue, String> {
    let shape = tensor.dims.clone();
    let failed = |error: ort::Error| format!("can't be handed to ONNX Runtime: {error}");
    match tensor.data_type() {
        DataType::Float => {
            let values: Vec<f32> = data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            Ok(Tensor::from_array((shape, values))
                .map_err(failed)?
                .into_dyn())
        }
        DataType::Int8 => {
            let values: Vec<i8> = data.iter().map(|byte| i8::from_le_bytes([*byte])).collect();
            Ok(Tensor::from_array((shape, values))
                .map_err(failed)?
                .into_dyn())
        }
        other => Err(format!(
            "holds {other:?}, which no exported graph keeps in a file"
        )),
    }
}
