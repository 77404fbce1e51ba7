//! Names, types and shapes of a graph's inputs and outputs.

use ort::value::{Outlet, TensorElementType, ValueType};
use serde::Serialize;

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    pub name: String,
    /// Element type in the Open Inference Protocol's spelling: `INT64`, `FP32`.
    pub datatype: String,
    /// Shape; -1 for a size that is known only when the graph runs.
    pub shape: Vec<i64>,
}

impl TensorInfo {
    /// Describes a session's inputs or outputs, in order.
    pub(super) fn of_all(outlets: &[Outlet]) -> Vec<Self> {
        outlets.iter().map(Self::of).collect()
    }

    fn of(outlet: &Outlet) -> Self {
        let (datatype, shape) = match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => (datatype(*ty), shape.to_vec()),
            other => (format!("{other:?}"), vec![]),
        };
        Self {
            name: outlet.name().to_owned(),
            datatype,
            shape,
        }
    }
}

fn datatype(element: TensorElementType) -> String {
    match element {
        TensorElementType::Float32 => "FP32".to_owned(),
        TensorElementType::Float16 => "FP16".to_owned(),
        TensorElementType::Int64 => "INT64".to_owned(),
        TensorElementType::Int32 => "INT32".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}
