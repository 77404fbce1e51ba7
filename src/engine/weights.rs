//! Reads a graph's weights once for all its sessions, as ONNX Runtime's tensors or packed for the server's own
//! products. Models with identical weights share either form.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use bytemuck::Pod;
use half::f16;
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

use super::EngineError;
use super::external_data::ExternalData;
use super::linear_weights::LinearWeights;
use super::shared_weights::SharedWeights;
use crate::onnx::{self, DataLocation, DataType};

/// A weight, by its name in the graph.
pub type SharedWeight = (String, Arc<DynValue>);

/// Reads the weights that the graph stores externally.
///
/// # Errors
/// If a file is missing or too short, or a tensor's description contradicts itself or leaves the graph's folder.
pub fn read_external(
    model: &onnx::Model,
    graph_path: &Path,
    in_use: &SharedWeights,
) -> Result<Vec<SharedWeight>, EngineError> {
    let mut data = ExternalData::beside(graph_path);
    let weights = external(model).map(|tensor| {
        let value = match tensor.data_type() {
            DataType::Float => shared::<f32>(tensor, &mut data, in_use)?,
            DataType::Float16 => shared::<f16>(tensor, &mut data, in_use)?,
            DataType::Int8 => shared::<i8>(tensor, &mut data, in_use)?,
            DataType::Uint8 => shared::<u8>(tensor, &mut data, in_use)?,
            _ => {
                // ONNX Runtime reads these tensors itself.
                data.check(tensor)?;
                return Ok(None);
            }
        };
        Ok(Some((tensor.name.clone(), value)))
    });
    weights.filter_map(Result::transpose).collect()
}

/// Checks the files with the weights that the graph stores externally, for a session that reads them itself.
///
/// # Errors
/// If one is not a regular file in the graph's folder.
pub fn check_external(model: &onnx::Model, graph_path: &Path) -> Result<(), EngineError> {
    let data = ExternalData::beside(graph_path);
    external(model).try_for_each(|tensor| data.check(tensor))
}

/// The weights that the graph stores externally.
fn external(model: &onnx::Model) -> impl Iterator<Item = &onnx::Tensor> {
    let initializers = model.graph.iter().flat_map(|graph| &graph.initializer);
    initializers.filter(|tensor| tensor.data_location() == DataLocation::External)
}

/// Reads the weights of linear layers that are not part of their graph.
///
/// # Errors
/// As for [`read_external`], and if a tensor is not a matrix of floats or signed bytes.
pub fn read_linear(
    tensors: &[onnx::Tensor],
    graph_path: &Path,
    in_use: &SharedWeights,
) -> Result<LinearWeights, EngineError> {
    let mut data = ExternalData::beside(graph_path);
    let mut weights = LinearWeights::default();
    for tensor in tensors {
        let shape = matrix_shape(tensor).map_err(|reason| data.damaged(tensor, &reason))?;
        match tensor.data_type() {
            DataType::Int8 => {
                weights.add_bytes(&tensor.name, in_use.bytes(shape, &data.values(tensor)?));
            }
            _ => weights.add_floats(&tensor.name, in_use.floats(shape, &data.values(tensor)?)),
        }
    }
    Ok(weights)
}

fn matrix_shape(tensor: &onnx::Tensor) -> Result<[usize; 2], String> {
    let sizes: Result<Vec<_>, _> = tensor.dims.iter().copied().map(usize::try_from).collect();
    let shape: Result<[usize; 2], _> = sizes.unwrap_or_default().try_into();
    match (shape, tensor.data_type()) {
        (Ok(shape), DataType::Float | DataType::Int8) => Ok(shape),
        _ => Err(format!("is not a matrix of weights: {:?}", tensor.dims)),
    }
}

/// Creates an ONNX Runtime tensor, or returns the identical one of another model.
fn shared<T: PrimitiveTensorElementType + Pod + Debug>(
    tensor: &onnx::Tensor,
    data: &mut ExternalData,
    in_use: &SharedWeights,
) -> Result<Arc<DynValue>, EngineError> {
    let values: Vec<T> = data.values(tensor)?;
    if let Some(known) = in_use.find(&tensor.dims, &values) {
        return Ok(known);
    }
    let value = Tensor::from_array((tensor.dims.clone(), values)).map_err(|error| {
        let reason = format!("can't be passed to ONNX Runtime: {error}");
        data.damaged(tensor, &reason)
    })?;
    let value = Arc::new(value.into_dyn());
    in_use.add(&value);
    Ok(value)
}
