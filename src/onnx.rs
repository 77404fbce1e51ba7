//! The ONNX protobuf messages that this project reads and writes: a subset of `onnx.proto3` (ONNX 1.17, IR version 10),
//! with the specification's field numbers. Decoding a graph skips fields that are not listed here.

use prost::Message;

/// IR version of exported graphs: 10 came with opset 21 and ONNX 1.16.
pub const IR_VERSION: i64 = 10;
/// Opset of exported graphs, in the default domain.
pub const OPSET: i64 = 21;
/// Domain of ONNX Runtime's own operators.
pub const MICROSOFT_DOMAIN: &str = "com.microsoft";

/// A model: one graph, and the operator sets it uses.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// Version of the file format, see [`IR_VERSION`].
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// Metadata.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringEntry>,
}

/// An operator domain and its version.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Empty for the default domain.
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct StringEntry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Looks up a key in entries.
#[must_use]
pub fn entry<'e>(entries: &'e [StringEntry], key: &str) -> Option<&'e str> {
    let mut entries = entries.iter();
    let entry = entries.find(|entry| entry.key == key);
    entry.map(|entry| entry.value.as_str())
}

#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// Operators in topological order.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constant tensors.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// One operator.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of the input tensors; an empty name stands for an omitted optional input.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the output tensors.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Used in profiles and messages.
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// Empty for the default domain.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// A named attribute of a node; `kind` tells which value is set.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Value of a [`AttributeKind::Float`].
    #[prost(float, tag = "2")]
    pub float: f32,
    /// Value of a [`AttributeKind::Int`].
    #[prost(int64, tag = "3")]
    pub int: i64,
    /// Value of a [`AttributeKind::String`], UTF-8.
    #[prost(bytes = "vec", tag = "4")]
    pub string: Vec<u8>,
    /// Value of a [`AttributeKind::Tensor`].
    #[prost(message, optional, tag = "5")]
    pub tensor: Option<Tensor>,
    /// Value of a [`AttributeKind::Graph`].
    #[prost(message, optional, tag = "6")]
    pub graph: Option<Graph>,
    /// Value of a [`AttributeKind::Ints`].
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// See [`AttributeKind`].
    #[prost(enumeration = "AttributeKind", tag = "20")]
    pub kind: i32,
}

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum AttributeKind {
    /// Not specified; no current exporter writes it.
    Undefined = 0,
    /// A 32-bit float.
    Float = 1,
    /// A 64-bit integer.
    Int = 2,
    /// A string.
    String = 3,
    Tensor = 4,
    /// A graph: a branch of an `If`.
    Graph = 5,
    /// A list of 64-bit integers.
    Ints = 7,
}

/// A constant tensor, with its data inline or in a file beside the model.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// Element type, see [`DataType`].
    #[prost(enumeration = "DataType", tag = "2")]
    pub data_type: i32,
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian elements, row-major, if the data is inline.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// `location`, `offset` and `length`, if the data is in a file.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringEntry>,
    /// See [`DataLocation`].
    #[prost(enumeration = "DataLocation", tag = "14")]
    pub data_location: i32,
}

/// The place of a tensor's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum DataLocation {
    /// In the tensor message.
    Inline = 0,
    /// In a file beside the model.
    External = 1,
}

/// Element types that this project supports, with ONNX's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum DataType {
    Undefined = 0,
    /// 32-bit.
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Int32 = 6,
    Int64 = 7,
    /// One byte per element.
    Bool = 9,
    /// IEEE half precision.
    Float16 = 10,
}

impl DataType {
    /// Size of one element in bytes.
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

/// Declares the name and type of a graph's input or output.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
}

/// A type; this project supports only tensors.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// Element type and shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// See [`DataType`].
    #[prost(enumeration = "DataType", tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// A size or a name; `None` means any size.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
}

/// The size of a dimension.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum DimensionValue {
    #[prost(int64, tag = "1")]
    Size(i64),
    /// A size that is known only when the graph runs; equal names mean equal sizes.
    #[prost(string, tag = "2")]
    Name(String),
}
