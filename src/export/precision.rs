//! The precisions that a graph can be exported in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The type in which a graph's matrices are stored and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout.
    Fp32,
    /// 16-bit floats for products, activations and attention, on GPUs; 32-bit floats for residual sums and LayerNorm.
    Fp16,
    /// int8 weights with one scale per output channel; activations are quantized at run time with one scale per token.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fp32" => Ok(Self::Fp32),
            "fp16" => Ok(Self::Fp16),
            "int8" => Ok(Self::Int8),
            other => Err(format!(
                "`{other}` is not a precision; precisions are fp32, fp16 and int8"
            )),
        }
    }
}

/// The precision that a user requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrecisionChoice {
    /// int8 for the CPU and fp16 for a GPU, if its decisions match those of fp32; otherwise fp32.
    #[default]
    Auto,
    Fixed(Precision),
}

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Fixed(precision) => precision.fmt(formatter),
        }
    }
}

impl FromStr for PrecisionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::Fixed).map_err(|_: String| {
            format!("`{text}` is not a precision; precisions are auto, fp32, fp16 and int8")
        })
    }
}

impl From<Precision> for PrecisionChoice {
    fn from(precision: Precision) -> Self {
        Self::Fixed(precision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_have_one_name_everywhere() {
        for (name, precision) in [
            ("fp32", Precision::Fp32),
            ("fp16", Precision::Fp16),
            ("int8", Precision::Int8),
        ] {
            assert_eq!(name.parse(), Ok(precision));
            assert_eq!(precision.to_string(), name);
            assert_eq!(serde_json::to_value(precision).unwrap(), name);
            assert_eq!(name.parse(), Ok(PrecisionChoice::Fixed(precision)));
            assert_eq!(PrecisionChoice::Fixed(precision).to_string(), name);
        }
        assert_eq!("auto".parse(), Ok(PrecisionChoice::Auto));
        assert_eq!(PrecisionChoice::Auto.to_string(), "auto");
        assert!("auto".parse::<Precision>().is_err());
        let error = "bf16".parse::<PrecisionChoice>().unwrap_err();
        assert!(
            error.contains("`bf16`") && error.contains("auto, fp32"),
            "{error}"
        );
    }
}
