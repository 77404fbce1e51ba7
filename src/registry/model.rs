//! What a model is: its task, its description, its state.

use std::fmt;
use std::sync::Arc;

use crate::batch::{BatchSizing, ModelQueue};
use crate::engine::{Device, Layout, Precision, TensorInfo};
use crate::heads::classify::ProblemType;
use crate::heads::scheme::Scheme;
use crate::limits::Limits;
use crate::model_folder::{RequestDefaults, Version};
use crate::task::Task;
use crate::text::Tokenizer;

/// What is known of a loaded model.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Its folder's name.
    pub name: String,
    /// Which version of it.
    pub version: Version,
    /// What it computes.
    pub task: Task,
    /// Number format of its weights.
    pub precision: Precision,
    /// What computes it; never `auto`.
    pub device: Device,
    /// How its graph takes sequences.
    pub layout: Layout,
    /// Longest sequence in tokens, special ones included.
    pub max_tokens: usize,
    /// How many token types it knows.
    pub token_types: usize,
    /// Names of its outputs by index; none for discriminate and qa.
    pub labels: Vec<String>,
    /// How its labels tell places in an entity, where it tags.
    pub scheme: Scheme,
    /// What its scores mean (`problem_type`), where config.json says.
    pub problem_type: Option<ProblemType>,
    /// What a request to it may hold.
    pub limits: Limits,
    /// What holds where a request does not say.
    pub defaults: RequestDefaults,
    /// The graph's inputs.
    pub inputs: Vec<TensorInfo>,
    /// The graph's outputs.
    pub outputs: Vec<TensorInfo>,
    /// Bytes of the model's files.
    pub size_bytes: u64,
    /// What it was made of, where `electra pull` made it: `google/electra-small-discriminator at commit …`.
    pub source: Option<String>,
}

/// A model that can be asked.
#[derive(Clone)]
pub struct LoadedModel {
    /// What is known of it.
    pub info: ModelInfo,
    /// Text to tokens.
    pub tokenizer: Arc<Tokenizer>,
    /// How large its batches are.
    pub sizing: BatchSizing,
    /// Where its sequences wait to be run.
    pub queue: ModelQueue,
}

impl fmt::Debug for LoadedModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LoadedModel")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// Whether a model can be asked.
#[derive(Clone, Debug)]
pub enum ModelState {
    /// Not yet.
    Loading,
    /// Yes.
    Ready(Arc<LoadedModel>),
    /// No, and why: a sentence.
    Failed {
        /// What is wrong and what to do.
        reason: String,
    },
    /// It was taken out of service, or is not wanted.
    Unloaded,
}

impl ModelState {
    /// The model, where it can be asked.
    #[must_use]
    pub fn model(&self) -> Option<&Arc<LoadedModel>> {
        match self {
            Self::Ready(model) => Some(model),
            Self::Loading | Self::Failed { .. } | Self::Unloaded => None,
        }
    }

    /// `loading`, `ready`, `failed` or `unloaded`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready(_) => "ready",
            Self::Failed { .. } => "failed",
            Self::Unloaded => "unloaded",
        }
    }
}
