//! Devices as users name them, and their execution providers.

use std::fmt;
use std::str::FromStr;

use ort::ep::{CUDA, ExecutionProviderDispatch, TensorRT};
use serde::Serialize;
use thiserror::Error;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// CUDA if it works, otherwise the CPU.
    #[default]
    Auto,
    /// The cores available to the process.
    Cpu,
    /// An NVIDIA GPU by its index, through CUDA.
    Cuda(u32),
    /// An NVIDIA GPU by its index, through TensorRT, with CUDA for operators that TensorRT does not support.
    TensorRt(u32),
}

/// An unknown device name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a device; devices are auto, cpu, cuda, cuda:N, tensorrt and tensorrt:N")]
pub struct UnknownDevice(String);

impl Device {
    /// Whether the device is a GPU, which keeps weights in its own memory.
    #[must_use]
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda(_) | Self::TensorRt(_))
    }

    /// The execution providers to register, in order of preference. A provider that can't be registered is an error:
    /// ONNX Runtime's silent fallback to the CPU is switched off.
    pub(super) fn execution_providers(self) -> Vec<ExecutionProviderDispatch> {
        let cuda = |index: u32| {
            CUDA::default()
                .with_device_id(signed(index))
                .build()
                .error_on_failure()
        };
        match self {
            Self::Auto | Self::Cpu => vec![],
            Self::Cuda(index) => vec![cuda(index)],
            Self::TensorRt(index) => {
                vec![
                    TensorRT::default()
                        .with_device_id(signed(index))
                        .build()
                        .error_on_failure(),
                    cuda(index),
                ]
            }
        }
    }
}

/// Converts a GPU's index to CUDA's type. No machine has 2^31 GPUs, and CUDA refuses an index that is out of range.
fn signed(index: u32) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let (name, index) = match text.split_once(':') {
            None => (text, None),
            Some((name, index)) => (
                name,
                Some(index.parse().map_err(|_| UnknownDevice(text.to_owned()))?),
            ),
        };
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", index) => Ok(Self::Cuda(index.unwrap_or(0))),
            ("tensorrt", index) => Ok(Self::TensorRt(index.unwrap_or(0))),
            _ => Err(UnknownDevice(text.to_owned())),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
            Self::TensorRt(index) => write!(formatter, "tensorrt:{index}"),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let check = |text: &str, device: Device, written: &str| {
            assert_eq!(text.parse(), Ok(device), "{text}");
            assert_eq!(device.to_string(), written);
        };
        check("auto", Device::Auto, "auto");
        check("cpu", Device::Cpu, "cpu");
        check("cuda", Device::Cuda(0), "cuda:0");
        check("cuda:3", Device::Cuda(3), "cuda:3");
        check("tensorrt", Device::TensorRt(0), "tensorrt:0");
        check("tensorrt:1", Device::TensorRt(1), "tensorrt:1");
    }

    #[test]
    fn other_names_are_refused_with_the_choices() {
        for text in [
            "",
            "gpu",
            "CPU",
            "cpu:0",
            "auto:1",
            "cuda:",
            "cuda:x",
            "cuda:-1",
            "cuda:99999999999",
        ] {
            let error = text.parse::<Device>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{text}`")) && error.contains("tensorrt:N"),
                "{error}"
            );
        }
    }
}
