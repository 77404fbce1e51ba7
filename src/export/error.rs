//! Errors of an export, and how their messages list mistakes.

use std::io;
use std::path::PathBuf;

use super::adapter::AdapterError;
use super::precision::Precision;
use crate::model_config::ConfigError;
use crate::task::{NotServed, Task};

/// Limit on the mistakes that an error lists.
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

/// The reason why a checkpoint can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{} can't be read: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{} can't be written: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
    /// config.json is missing, malformed, or not an ELECTRA checkpoint's.
    #[error("{}: {error}", folder.display())]
    Config { folder: PathBuf, error: ConfigError },
    #[error("{}: {error}", folder.display())]
    Adapter {
        folder: PathBuf,
        error: AdapterError,
    },
    /// The weights contain an adapter that was not merged into the model.
    #[error(
        "{}: its tensors are those of a model with an adapter in it (LoRA or another of PEFT); call merge_and_unload() of peft, \
         and then save_pretrained()", folder.display()
    )]
    UnmergedAdapter { folder: PathBuf },
    #[error("{}: its weights hold no tensors", folder.display())]
    NoTensors { folder: PathBuf },
    #[error(
        "{} has no model.safetensors, no pytorch_model.bin, and no index of either's shards; point `electra export` at a \
         checkpoint's folder with config.json, weights and a tokenizer",
        folder.display()
    )]
    NoWeights { folder: PathBuf },
    /// The weights file is damaged or contains something unexpected.
    #[error("{}: {reason}", path.display())]
    Weights { path: PathBuf, reason: String },
    /// Tensors are missing, or do not have the shape that config.json implies.
    #[error(
        "the checkpoint's tensors do not fit its config.json:\n  {}{}",
        first(mistakes),
        more(mistakes)
    )]
    Tensors {
        /// One sentence per tensor.
        mistakes: Vec<String>,
    },
    /// Few bytes are claimed to be many numbers.
    #[error(
        "the checkpoint's tensors have {numbers} numbers, more than twice the {bytes} bytes of its files: they share storages, \
         or nearly all of their heads are pruned"
    )]
    Inflated {
        /// Of all tensors that the graph needs.
        numbers: u64,
        /// Of all weights files.
        bytes: u64,
    },
    /// The checkpoint can be exported, but not in this precision.
    #[error("the checkpoint can't be exported in {precision}: {reason}")]
    Precision {
        precision: Precision,
        reason: String,
    },
    /// The tensors do not have ELECTRA's names.
    #[error(
        "the checkpoint's tensors are not those of an ELECTRA model: they are named {}; save the model with save_pretrained() \
         of transformers", examples.join(", ")
    )]
    NoTrunk {
        /// Some of the names found.
        examples: Vec<String>,
    },
    /// The checkpoint has an encoder without a head.
    #[error(
        "the checkpoint has no head: none of discriminator_predictions, classifier.out_proj, classifier and qa_outputs is \
         among its tensors; export a discriminator or a fine-tuned checkpoint"
    )]
    NoHead,
    /// The checkpoint has a head that no task uses.
    #[error(
        "the checkpoint's head is that of {0}, which can't be served; electra serves discriminators, and checkpoints that \
         were fine-tuned for classification of texts or tokens or for question answering"
    )]
    HeadNotServed(NotServed),
    /// The head that config.json names is not the one that the tensors form.
    #[error(
        "config.json: `architectures` names {class}, but the checkpoint's tensors have the head of: {found}; correct \
         `architectures`, or name the task with --task (in a model repository by `task` in electra.toml)"
    )]
    OtherHead {
        /// The class in config.json's `architectures`.
        class: String,
        /// The heads that the tensors form.
        found: String,
    },
    /// config.json and the classifier have different numbers of labels.
    #[error(
        "config.json names {named} labels (`id2label`, or else `num_labels`), but the checkpoint's classifier has {rows} \
         rows; name a label for each row"
    )]
    Labels {
        /// Labels in config.json.
        named: usize,
        /// Rows of the classifier's weights.
        rows: usize,
    },
    /// The tensors form several heads, and neither the task nor config.json selects one.
    #[error(
        "the checkpoint may have several heads ({found}); choose one with --task (in a model repository by `task` in \
         electra.toml)"
    )]
    AmbiguousHead {
        /// The heads found.
        found: String,
    },
    /// The checkpoint has no head for the requested task.
    #[error("the checkpoint has no head for the task {wanted}; it has the head of: {found}")]
    HeadNotFound {
        wanted: Task,
        /// The heads found.
        found: String,
    },
}
