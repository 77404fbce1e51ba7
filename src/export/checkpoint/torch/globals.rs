//! The names that a pickle of weights may refer to. Every other name is refused.
//!
//! The list is a subset of what `torch.load(weights_only=True)` allows (`torch/_weights_only_unpickler.py`).

use super::super::tensor::{FloatType, NumberType};

/// The meaning of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `_rebuild_tensor(storage, offset, size, stride)`, and `_rebuild_tensor_v2`, which takes further arguments after
    /// these.
    RebuildTensor,
    /// `_rebuild_tensor_v3`, whose seventh argument is the number type.
    RebuildTensorOfType,
    /// `_rebuild_parameter(tensor, …)`.
    RebuildParameter,
    /// `_rebuild_from_type_v2(function, class, arguments, attributes)`: a tensor with extra attributes.
    RebuildWithAttributes,
    /// The class of a storage with these numbers.
    Storage(Numbers),
    /// A number type.
    NumberType(Numbers),
    /// A class that says nothing about the numbers.
    Class,
}

/// A number type, by torch's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    name: &'static str,
    /// Size of one number in bytes.
    pub bytes: u64,
    float: Option<FloatType>,
}

impl Numbers {
    const fn float(name: &'static str, bytes: u64, float: FloatType) -> Self {
        Self {
            name,
            bytes,
            float: Some(float),
        }
    }

    const fn other(name: &'static str, bytes: u64) -> Self {
        Self {
            name,
            bytes,
            float: None,
        }
    }

    pub(super) fn number_type(self) -> NumberType {
        self.float.map_or_else(
            || NumberType::Other(self.name.to_owned()),
            NumberType::Float,
        )
    }
}

/// Looks up a name; `None` if no checkpoint needs it.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTensorOfType,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Global::RebuildParameter
        }
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildWithAttributes,
        ("torch" | "torch.storage", "UntypedStorage" | "_UntypedStorage") => {
            Global::Storage(Numbers::other("bytes", 1))
        }
        ("torch", "Tensor" | "Size" | "device")
        | ("torch.nn.parameter", "Parameter")
        | ("torch" | "torch.storage", "TypedStorage" | "_TypedStorage") => Global::Class,
        ("torch", name) => match name.strip_suffix("Storage") {
            Some(prefix) => Global::Storage(storage_numbers(prefix)?),
            None => Global::NumberType(numbers(name)?),
        },
        _ => return None,
    })
}

/// Looks up a storage class by the part of its name before `Storage`.
fn storage_numbers(prefix: &str) -> Option<Numbers> {
    numbers(match prefix {
        "Double" => "float64",
        "Float" => "float32",
        "Half" => "float16",
        "BFloat16" => "bfloat16",
        "Long" => "int64",
        "Int" => "int32",
        "Short" => "int16",
        "Char" => "int8",
        "Byte" => "uint8",
        "Bool" => "bool",
        "ComplexDouble" => "complex128",
        "ComplexFloat" => "complex64",
        _ => return None,
    })
}

/// Looks up a number type by name.
fn numbers(name: &str) -> Option<Numbers> {
    const ALL: [Numbers; 17] = [
        Numbers::float("float64", 8, FloatType::Fp64),
        Numbers::float("float32", 4, FloatType::Fp32),
        Numbers::float("float16", 2, FloatType::Fp16),
        Numbers::float("bfloat16", 2, FloatType::Bf16),
        Numbers::other("float8_e4m3fn", 1),
        Numbers::other("float8_e5m2", 1),
        Numbers::other("int64", 8),
        Numbers::other("int32", 4),
        Numbers::other("int16", 2),
        Numbers::other("int8", 1),
        Numbers::other("uint64", 8),
        Numbers::other("uint32", 4),
        Numbers::other("uint16", 2),
        Numbers::other("uint8", 1),
        Numbers::other("bool", 1),
        Numbers::other("complex128", 16),
        Numbers::other("complex64", 8),
    ];
    ALL.into_iter().find(|numbers| numbers.name == name)
}
