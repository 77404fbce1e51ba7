//! Reads a graph's file and describes the graph before any session is opened.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use prost::Message as _;

use super::detach::{self, Detached};
use super::fusion::fuse_for_cpu;
use super::{EngineError, Layout, Precision};
use crate::export::graph::{FusedGraph, LAYOUT_KEY, PRECISION_KEY};
use crate::model_config::ModelConfig;
use crate::onnx::{self, DataType, DimensionValue};

/// The value of [`LAYOUT_KEY`] in `electra export`'s graphs.
const PACKED: &str = "packed";

/// A graph's file, parsed.
pub(super) struct Description {
    pub layout: Layout,
    /// The type in which the graph's matrices are stored.
    pub precision: Precision,
    /// The graph's metadata, by key.
    pub metadata: HashMap<String, String>,
    /// The graph without its large weights, which stay in its file.
    pub file: Detached,
    /// The graph, as decoded from `file`.
    pub model: onnx::Model,
}

impl Description {
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let load = |reason: String| EngineError::Load {
            path: path.to_path_buf(),
            reason,
        };
        let no_graph =
            |error: &dyn std::fmt::Display| load(format!("it is not an ONNX graph: {error}"));
        let file = detach::read(path).map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::Other => {
                no_graph(&error)
            }
            _ => load(error.to_string()),
        })?;
        let model = onnx::Model::decode(file.bytes.as_slice()).map_err(|error| no_graph(&error))?;
        if model
            .graph
            .as_ref()
            .is_none_or(|graph| graph.node.is_empty())
        {
            return Err(load(
                "it is not an ONNX graph: it has no operators".to_owned(),
            ));
        }
        Self::of(model, file).map_err(|reason| EngineError::Unsupported {
            path: path.to_path_buf(),
            reason,
        })
    }

    fn of(model: onnx::Model, file: Detached) -> Result<Self, String> {
        let entries = model.metadata_props.iter();
        let metadata: HashMap<_, _> = entries
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect();
        let (layout, precision) = match metadata.get(LAYOUT_KEY).map(String::as_str) {
            None => (Layout::Padded, precision_of(&model)),
            Some(PACKED) => {
                let precision = metadata.get(PRECISION_KEY).map_or("", String::as_str);
                (Layout::Packed, precision.parse()?)
            }
            Some(other) => {
                return Err(format!(
                    "it has the layout `{other}`, which this version of electra does not know; export the checkpoint again"
                ));
            }
        };
        Ok(Self {
            layout,
            precision,
            metadata,
            file,
            model,
        })
    }

    /// Returns the fused graph, if this graph is one of `electra export`'s and was made with the config.json beside it.
    pub fn fused(&self) -> Option<FusedGraph> {
        let folder = self.file.path.parent()?;
        let config = ModelConfig::from_folder(folder).ok()?;
        let shape = config.shape().ok()?;
        fuse_for_cpu(&self.model, &shape)
    }

    /// The name of the first dimension of the first output. In a packed graph it tells whether a row is a token or a
    /// sequence.
    pub fn first_output_dimension(&self) -> Option<&str> {
        let output = self.model.graph.as_ref()?.output.first()?;
        let tensor = output.r#type.as_ref()?.tensor_type.as_ref()?;
        match &tensor.shape.as_ref()?.dim.first()?.value {
            Some(DimensionValue::DimParam(name)) => Some(name),
            _ => None,
        }
    }
}

/// Infers the precision of a graph that does not state it: int8 if it has integer products and byte weights, fp16 if
/// most of its floats are 16-bit.
fn precision_of(model: &onnx::Model) -> Precision {
    let graph = model.graph.iter();
    let nodes = graph.clone().flat_map(|graph| &graph.node);
    let quantized = nodes
        .map(|node| node.op_type.as_str())
        .any(multiplies_integers);
    let initializers = graph.flat_map(|graph| &graph.initializer);
    let (mut bytes, mut halves, mut floats) = (0, 0, 0);
    for tensor in initializers {
        let elements = tensor
            .dims
            .iter()
            .fold(1_i64, |all, &size| all.saturating_mul(size));
        match tensor.data_type() {
            DataType::Int8 | DataType::Uint8 if !tensor.dims.is_empty() => bytes += 1,
            DataType::Float16 => halves = elements.saturating_add(halves),
            DataType::Float => floats = elements.saturating_add(floats),
            _ => {}
        }
    }
    if quantized && bytes > 0 {
        Precision::Int8
    } else if halves > floats {
        Precision::Fp16
    } else {
        Precision::Fp32
    }
}

/// Whether an operator of ONNX or ONNX Runtime multiplies bytes. `DequantizeLinear` counts too: in "QDQ" graphs it
/// marks the products that the runtime finds.
fn multiplies_integers(operator: &str) -> bool {
    matches!(
        operator,
        "MatMulInteger"
            | "DynamicQuantizeLinear"
            | "DynamicQuantizeMatMul"
            | "MatMulIntegerToFloat"
            | "DequantizeLinear"
            | "QAttention"
            | "QGemm"
    ) || operator.starts_with("QLinear")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::shared_weights::SharedWeights;
    use crate::engine::testing::{other_graph, runtime};
    use crate::engine::weights::read_external;
    use crate::numbers::float;
    use crate::onnx::{Graph, Model, Node, StringEntry, Tensor};

    fn described(model: Model) -> Result<Description, String> {
        let file = Detached {
            bytes: vec![],
            path: PathBuf::new(),
        };
        Description::of(model, file)
    }

    fn model(operators: &[&str], tensors: &[(DataType, i64)]) -> Model {
        let node = operators.iter().map(|operator| Node {
            op_type: (*operator).to_owned(),
            ..Node::default()
        });
        let initializer = tensors.iter().map(|&(kind, size)| Tensor {
            dims: vec![size],
            data_type: kind.into(),
            ..Tensor::default()
        });
        Model {
            graph: Some(Graph {
                node: node.collect(),
                initializer: initializer.collect(),
                ..Graph::default()
            }),
            ..Model::default()
        }
    }

    #[test]
    fn precision_is_told_from_operators_and_weights() {
        use DataType::{Float, Float16, Int8, Int64, Uint8};
        let check = |operators: &[&str], tensors: &[(DataType, i64)], expected| {
            let described = described(model(operators, tensors)).unwrap();
            assert_eq!(described.layout, Layout::Padded);
            assert_eq!(described.precision, expected, "{operators:?} {tensors:?}");
        };
        check(&["MatMul"], &[(Float, 100), (Int64, 500)], Precision::Fp32);
        check(&["MatMul"], &[(Float, 8), (Float16, 100)], Precision::Fp16);
        check(
            &["MatMulInteger"],
            &[(Float, 900), (Int8, 100)],
            Precision::Int8,
        );
        check(&["QLinearMatMul"], &[(Uint8, 100)], Precision::Int8);
        // Byte tensors without an integer product, and the reverse.
        check(&["Gather"], &[(Float, 8), (Uint8, 100)], Precision::Fp32);
        check(&["DynamicQuantizeLinear"], &[(Float, 8)], Precision::Fp32);
        // False sizes cause no overflow.
        check(
            &["MatMul"],
            &[(Float, i64::MAX), (Float, i64::MAX)],
            Precision::Fp32,
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Any file is read or refused: nothing panics, and no memory is allocated beyond the file's content.
        #[test]
        fn damaged_files_are_read_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16),
            kept in 0.0..1.0_f64,
            cut: bool,
        ) {
            // Tensors are its own.
            let Some(_runtime) = runtime() else {
                return Ok(());
            };
            let name = if cut { "torch-discriminator" } else { "torch-discriminator-int32" };
            let mut bytes = std::fs::read(other_graph(name).join("model.onnx")).unwrap();
            for (index, byte) in changes {
                *index.get_mut(&mut bytes) = byte;
            }
            if cut {
                let length = (0..bytes.len()).filter(|&at| float(at) < kept * float(bytes.len()));
                bytes.truncate(length.count());
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.onnx");
            std::fs::write(&path, bytes).unwrap();
            if let Ok(description) = Description::read(&path) {
                let _ = description.first_output_dimension();
                let _ = read_external(&description.model, &path, &SharedWeights::default());
            }
        }
    }

    #[test]
    fn a_layout_of_the_future_is_refused() {
        let mut model = model(&["MatMul"], &[]);
        model.metadata_props.push(StringEntry {
            key: LAYOUT_KEY.to_owned(),
            value: "folded".to_owned(),
        });
        let reason = described(model).err().unwrap();
        assert!(reason.contains("`folded`"), "{reason}");
    }
}
