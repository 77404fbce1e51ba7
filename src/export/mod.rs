//! Turns an ELECTRA checkpoint into an ONNX graph in the packed layout, with no Python and no runtime.
//!
//! A checkpoint's folder goes in: config.json, `model.safetensors` and the tokenizer's files. Out come `model.onnx` and
//! its weights in `model.onnx.data` beside it. Weights are read, converted and written one layer at a time.

pub mod checkpoint;
pub mod comparison;
pub mod config;
pub mod graph;
pub mod head;
mod quantize;
mod weights;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use prost::Message as _;
use serde::{Deserialize, Serialize};

use self::checkpoint::Checkpoint;
use self::config::ModelConfig;
use self::head::Head;
use crate::task::Task;

/// The graph's file name.
pub const GRAPH_FILE: &str = "model.onnx";
/// The name of the file with the graph's weights.
pub const DATA_FILE: &str = "model.onnx.data";

/// The type that a graph's matrices are kept and multiplied in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout.
    Fp32,
    /// 16-bit floats, for GPUs; what a sum or a mean could lose in them is computed in 32 bits.
    Fp16,
    /// int8 weights with one scale an output channel, activations quantized as the graph runs with one scale a token.
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
                "`{other}` is no precision; precisions are fp32, fp16 and int8"
            )),
        }
    }
}

/// The precision to export in, as a user asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrecisionChoice {
    /// The fastest that the device runs and whose decisions are those of fp32.
    #[default]
    Auto,
    /// This one.
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
            format!("`{text}` is no precision; precisions are auto, fp32, fp16 and int8")
        })
    }
}

impl From<Precision> for PrecisionChoice {
    fn from(precision: Precision) -> Self {
        Self::Fixed(precision)
    }
}

/// What was exported.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The checkpoint's shape.
    pub config: ModelConfig,
    /// The head that was found.
    pub head: Head,
    /// The precision of the graph.
    pub precision: Precision,
    /// Bytes of the graph and its data together.
    pub bytes: u64,
}

/// Writes the graph of a checkpoint and its weights into an existing folder. `task` asks for one head where a checkpoint
/// could be taken for several.
///
/// # Errors
/// Where the checkpoint is incomplete or not one of ELECTRA's, or a file can't be read or written.
pub fn export_graph(
    checkpoint: &Path,
    output: &Path,
    precision: Precision,
    task: Option<Task>,
) -> Result<Exported, ExportError> {
    let config = ModelConfig::from_folder(checkpoint)?;
    let mut tensors = Checkpoint::open(checkpoint)?;
    let head = Head::recognise(&tensors, &config, task)?;
    let plan = graph::build(&config, head, precision, DATA_FILE);
    weights::check(&plan.recipes, &tensors)?;
    let data = output.join(DATA_FILE);
    weights::write(&plan.recipes, &mut tensors, &data)?;
    let graph = plan.model.encode_to_vec();
    let path = output.join(GRAPH_FILE);
    std::fs::write(&path, &graph).map_err(|error| ExportError::Write { path, error })?;
    let data_bytes = std::fs::metadata(&data)
        .map_err(|error| ExportError::Read { path: data, error })?
        .len();
    Ok(Exported {
        config,
        head,
        precision,
        bytes: graph.len() as u64 + data_bytes,
    })
}

/// Why a checkpoint can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file can't be read.
    #[error("{} can't be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file can't be written.
    #[error("{} can't be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// config.json is not what an ELECTRA checkpoint has.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder holds no weights that can be read.
    #[error(
        "{} has no model.safetensors; point `electra export` at a checkpoint's folder with config.json, \
         model.safetensors and a tokenizer",
        folder.display()
    )]
    NoWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// The weights file is damaged or holds something unexpected.
    #[error("{}: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Tensors are missing or of another shape than config.json says.
    #[error("the checkpoint's tensors do not fit its config.json:\n  {}", mistakes.join("\n  "))]
    Tensors {
        /// One sentence a tensor.
        mistakes: Vec<String>,
    },
    /// The checkpoint can be exported, but not in this precision.
    #[error("the checkpoint can't be exported in {precision}: {reason}")]
    Precision {
        /// The precision asked for.
        precision: Precision,
        /// What keeps it from being.
        reason: String,
    },
    /// The checkpoint has the trunk alone.
    #[error(
        "the checkpoint has no head: none of discriminator_predictions, classifier.out_proj, classifier and qa_outputs is \
         among its tensors; export a discriminator or a fine-tuned checkpoint"
    )]
    NoHead,
    /// Several heads are there, and nothing says which one is meant.
    #[error("the checkpoint has several heads ({found}); choose one with --task")]
    AmbiguousHead {
        /// Their tasks.
        found: String,
    },
    /// The head asked for is not there.
    #[error("the checkpoint has no head for the task {wanted}; it has {found}")]
    HeadNotFound {
        /// The task asked for.
        wanted: Task,
        /// The tasks of the heads that are there.
        found: String,
    },
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
