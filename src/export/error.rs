//! Why a checkpoint can't be exported.

use std::io;
use std::path::PathBuf;

use super::adapter::AdapterError;
use super::precision::Precision;
use crate::model_config::ConfigError;
use crate::task::{NotServed, Task};

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
