//! The ONNX messages that are read and written, which the build generates from `proto/onnx/onnx.proto3`.

mod messages {
    #![allow(clippy::pedantic, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}

pub use messages::attribute_proto::AttributeType;
pub use messages::tensor_proto::{DataLocation, DataType};
pub use messages::tensor_shape_proto::Dimension;
pub use messages::tensor_shape_proto::dimension::Value as DimensionValue;
pub use messages::type_proto::Tensor as TensorType;
pub use messages::{
    AttributeProto as Attribute, GraphProto as Graph, ModelProto as Model, NodeProto as Node,
    OperatorSetIdProto as OperatorSet, StringStringEntryProto as StringEntry,
    TensorProto as Tensor, TensorShapeProto as Shape, TypeProto as Type,
    ValueInfoProto as ValueInfo,
};

/// The IR version written into exported graphs: 10 came with opset 21 and ONNX 1.16.
pub const IR_VERSION: i64 = 10;
/// The operator set of the default domain that exported graphs use.
pub const OPSET: i64 = 21;
/// The domain of ONNX Runtime's own operators.
pub const MICROSOFT_DOMAIN: &str = "com.microsoft";

/// The value that entries have under a key.
#[must_use]
pub fn entry<'e>(entries: &'e [StringEntry], key: &str) -> Option<&'e str> {
    let mut entries = entries.iter();
    let entry = entries.find(|entry| entry.key == key);
    entry.map(|entry| entry.value.as_str())
}

impl DataType {
    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Undefined => 0,
            Self::Uint8 | Self::Int8 | Self::Bool => 1,
            Self::Float16 => 2,
            Self::Float | Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }
}
