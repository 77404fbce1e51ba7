//! The ONNX protobuf messages that this project reads and writes: a subset of `onnx.proto3` (ONNX 1.17, IR version 10)
//! with the field numbers of the specification. Fields left out here are skipped when a graph is read.

use prost::Message;

/// The IR version written into exported graphs: 10 came with opset 21 and ONNX 1.16.
pub const IR_VERSION: i64 = 10;
/// The operator set of the default domain that exported graphs use.
pub const OPSET: i64 = 21;
/// The domain of ONNX Runtime's own operators.
pub const MICROSOFT_DOMAIN: &str = "com.microsoft";

/// A whole model: one graph with the operator sets it is written in.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// Version of the file format, see [`IR_VERSION`].
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// The program that wrote the model.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// The version of the program that wrote the model.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// The graph itself.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// Operator sets by domain.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// Free-form facts about the model.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringEntry>,
}

/// A domain of operators and the version in use.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Empty for the default domain.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Version of the operator set.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StringEntry {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// The value that entries have under a key.
#[must_use]
pub fn entry<'e>(entries: &'e [StringEntry], key: &str) -> Option<&'e str> {
    let mut entries = entries.iter();
    let entry = entries.find(|entry| entry.key == key);
    entry.map(|entry| entry.value.as_str())
}

/// Nodes in topological order, with the constants, inputs and outputs they use.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// Operators in an order in which they can run.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// The graph's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constant tensors.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    /// What a caller feeds.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    /// What a caller gets.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// One operator.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of the tensors read; an empty name leaves out an optional input.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the tensors written.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// The node's name, for profiles and messages.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// The operator's attributes.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// The operator's domain, empty for the default one.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// A named attribute of a node; `kind` says which of the values counts.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// The attribute's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Value of a [`AttributeKind::Float`].
    #[prost(float, tag = "2")]
    pub float: f32,
    /// Value of a [`AttributeKind::Int`].
    #[prost(int64, tag = "3")]
    pub int: i64,
    /// Value of a [`AttributeKind::String`], in UTF-8.
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
    /// Which value is meant.
    #[prost(enumeration = "AttributeKind", tag = "20")]
    pub kind: i32,
}

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum AttributeKind {
    /// Not said; written by no current exporter.
    Undefined = 0,
    /// A 32-bit float.
    Float = 1,
    /// A 64-bit integer.
    Int = 2,
    /// Text.
    String = 3,
    /// A tensor.
    Tensor = 4,
    /// A graph: a branch of an `If`.
    Graph = 5,
    /// A list of 64-bit integers.
    Ints = 7,
}

/// A constant tensor, its data inline or in a file beside the model.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// The shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// The element type, see [`DataType`].
    #[prost(enumeration = "DataType", tag = "2")]
    pub data_type: i32,
    /// The tensor's name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian elements, row-major, where the data is inline.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// `location`, `offset` and `length` where the data is in a file.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringEntry>,
    /// Where the data is.
    #[prost(enumeration = "DataLocation", tag = "14")]
    pub data_location: i32,
}

/// Where a tensor's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum DataLocation {
    /// In the tensor message.
    Inline = 0,
    /// In a file beside the model.
    External = 1,
}

/// Element types, numbered as in ONNX; the ones this project meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum DataType {
    /// Not said.
    Undefined = 0,
    /// 32-bit float.
    Float = 1,
    /// Unsigned byte.
    Uint8 = 2,
    /// Signed byte.
    Int8 = 3,
    /// 32-bit integer.
    Int32 = 6,
    /// 64-bit integer.
    Int64 = 7,
    /// Boolean, a byte each.
    Bool = 9,
    /// IEEE half precision.
    Float16 = 10,
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

/// The name and type of a graph's input or output.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    /// The tensor's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The tensor's type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
}

/// A type; only tensors are known here.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    /// The tensor type.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// Element type and shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// The element type.
    #[prost(enumeration = "DataType", tag = "1")]
    pub elem_type: i32,
    /// The shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// A shape with fixed or named dimensions.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    /// The dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// One dimension.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// A size or a name; neither means any size.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
}

/// The size of a dimension.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum DimensionValue {
    /// A fixed size.
    #[prost(int64, tag = "1")]
    Size(i64),
    /// A size known when the graph runs; equal names mean equal sizes.
    #[prost(string, tag = "2")]
    Name(String),
}
