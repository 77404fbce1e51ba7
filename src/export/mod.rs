//! Turns an ELECTRA checkpoint into an ONNX graph in the packed layout, with no Python and no runtime.
//!
//! A checkpoint's folder goes in: config.json, the weights as safetensors or PyTorch wrote them, and the tokenizer's files. Out come `model.onnx` and
//! its weights in `model.onnx.data` beside it. Weights are read, converted and written one layer at a time.

pub mod adapter;
pub mod checkpoint;
pub mod comparison;
mod data_file;
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

use self::adapter::AdapterError;
use self::checkpoint::Checkpoint;
use self::head::Head;
use crate::model_config::{ConfigError, ModelConfig, ModelShape};
use crate::task::{NotServed, Task};

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
    /// Products, activations and attention in 16-bit floats, for GPUs; sums of layers and LayerNorm in 32 bits.
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
    /// int8 for the CPU, fp16 for a GPU, where its decisions are those of fp32; else fp32.
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
    /// The checkpoint's config.json.
    pub config: ModelConfig,
    /// The sizes of the model.
    pub shape: ModelShape,
    /// The head that was found.
    pub head: Head,
    /// The precision of the graph.
    pub precision: Precision,
    /// Bytes of the graph and its data together.
    pub bytes: u64,
    /// The checkpoint's tensors that the graph has no use for, by name.
    pub unused: Vec<String>,
}

/// How many tensors a sentence names.
const NAMED_TENSORS: usize = 5;
/// How many mistakes an error lists.
const LISTED_MISTAKES: usize = 10;

fn first(mistakes: &[String]) -> String {
    mistakes[..mistakes.len().min(LISTED_MISTAKES)].join("\n  ")
}

fn more(mistakes: &[String]) -> String {
    match mistakes.len().saturating_sub(LISTED_MISTAKES) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    }
}

impl Exported {
    /// A sentence about the tensors that the graph has no use for; none if there are no such tensors.
    #[must_use]
    pub fn unused_tensors(&self) -> Option<String> {
        let count = self.unused.len();
        let mut names = self
            .unused
            .iter()
            .take(NAMED_TENSORS)
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        if count > NAMED_TENSORS {
            names.push_str(", …");
        }
        (count > 0).then(|| {
            format!(
                "{count} tensors of the checkpoint are not part of this head and were left out: {names}"
            )
        })
    }
}

/// What a checkpoint's folder holds, before anything is made of it. Numbers of tensors are not read yet.
#[derive(Debug)]
pub struct Source {
    /// Its config.json.
    pub config: ModelConfig,
    /// The sizes of the model.
    pub shape: ModelShape,
    tensors: Checkpoint,
}

impl Source {
    /// Reads config.json and the names and sizes of all tensors.
    ///
    /// # Errors
    /// If one of them is missing, damaged, or not that of an ELECTRA model, or if they contradict each other.
    pub fn open(folder: &Path) -> Result<Self, ExportError> {
        adapter::refuse(folder).map_err(|error| ExportError::Adapter {
            folder: folder.to_path_buf(),
            error,
        })?;
        let invalid = |error| ExportError::Config {
            folder: folder.to_path_buf(),
            error,
        };
        let config = ModelConfig::from_folder(folder).map_err(invalid)?;
        let mut tensors = Checkpoint::open(folder)?;
        if adapter::is_unmerged(tensors.names()) {
            let folder = folder.to_path_buf();
            return Err(ExportError::UnmergedAdapter { folder });
        }
        if tensors.names().next().is_none() {
            let folder = folder.to_path_buf();
            return Err(ExportError::NoTensors { folder });
        }
        let shape = ModelShape::new(&config, &|name| tensors.shape(name)).map_err(invalid)?;
        tensors.restore_pruned_heads(&shape)?;
        Ok(Self {
            config,
            shape,
            tensors,
        })
    }
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
    let Source {
        config,
        shape,
        mut tensors,
    } = Source::open(checkpoint)?;
    let head = Head::recognise(&tensors, &config, task)?;
    let plan = graph::build(&shape, head, precision, DATA_FILE);
    weights::check(&plan.recipes, &tensors)?;
    let unused = weights::unused(&plan.recipes, &tensors);
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
        shape,
        unused,
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
    #[error("{}: {error}", folder.display())]
    Config {
        /// The folder that it is in.
        folder: PathBuf,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// The folder holds an adapter and not a model.
    #[error("{}: {error}", folder.display())]
    Adapter {
        /// The folder.
        folder: PathBuf,
        /// What it is.
        error: AdapterError,
    },
    /// The weights are those of a model that an adapter was not merged into.
    #[error(
        "{}: its tensors are those of a model with an adapter in it (LoRA or another of PEFT); call merge_and_unload() of peft, \
         and then save_pretrained()", folder.display()
    )]
    UnmergedAdapter {
        /// The folder.
        folder: PathBuf,
    },
    /// There is not one tensor in the weights.
    #[error("{}: its weights hold no tensors", folder.display())]
    NoTensors {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds no weights that can be read.
    #[error(
        "{} has no model.safetensors, no pytorch_model.bin, and no index of either's shards; point `electra export` at a \
         checkpoint's folder with config.json, weights and a tokenizer",
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
    #[error(
        "the checkpoint's tensors do not fit its config.json:\n  {}{}",
        first(mistakes),
        more(mistakes)
    )]
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
    /// The tensors have other names than ELECTRA's.
    #[error(
        "the checkpoint's tensors are not those of an ELECTRA model: they are named {}; save the model with save_pretrained() \
         of transformers", examples.join(", ")
    )]
    NoTrunk {
        /// A few of their names.
        examples: Vec<String>,
    },
    /// The checkpoint has the encoder alone.
    #[error(
        "the checkpoint has no head: none of discriminator_predictions, classifier.out_proj, classifier and qa_outputs is \
         among its tensors; export a discriminator or a fine-tuned checkpoint"
    )]
    NoHead,
    /// It has a head that no task is for.
    #[error(
        "the checkpoint's head is that of {0}, which can't be served; served are discriminators, and checkpoints that were \
         fine-tuned for classification of texts or tokens or for question answering"
    )]
    HeadNotServed(NotServed),
    /// config.json and the tensors have different heads.
    #[error(
        "config.json: `architectures` names {class}, but the checkpoint's tensors have the head of: {found}; correct \
         `architectures`, or name the task with --task (in a model repository by `task` in electra.toml)"
    )]
    OtherHead {
        /// The class.
        class: String,
        /// What the tensors are those of.
        found: String,
    },
    /// config.json and the tensors have different numbers of labels.
    #[error(
        "config.json names {named} labels (`id2label`, or else `num_labels`), but the checkpoint's classifier has {rows} \
         rows; name a label for each row"
    )]
    Labels {
        /// Labels in config.json.
        named: usize,
        /// Rows of the classifier.
        rows: usize,
    },
    /// Several heads are there, and nothing says which one is meant.
    #[error(
        "the checkpoint may have several heads ({found}); choose one with --task (in a model repository by `task` in \
         electra.toml)"
    )]
    AmbiguousHead {
        /// What they are for.
        found: String,
    },
    /// The head asked for is not there.
    #[error("the checkpoint has no head for the task {wanted}; it has that of: {found}")]
    HeadNotFound {
        /// The task asked for.
        wanted: Task,
        /// What the heads that are there are for.
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
