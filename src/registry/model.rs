//! A loaded model: its description and its state.

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

/// The description of a loaded model.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// The name of its folder.
    pub name: String,
    pub version: Version,
    pub task: Task,
    /// The number format of its weights.
    pub precision: Precision,
    /// Never `auto`.
    pub device: Device,
    /// Whether its graph takes packed or padded sequences.
    pub layout: Layout,
    /// The longest sequence in tokens, special tokens included.
    pub max_tokens: usize,
    /// The number of token types.
    pub token_types: usize,
    /// Names of its outputs by index. Empty for discriminate and qa.
    pub labels: Vec<String>,
    /// How its labels mark positions in an entity, for tagging models.
    pub scheme: Scheme,
    /// `problem_type` of config.json, which tells how scores are meant.
    pub problem_type: Option<ProblemType>,
    /// The limits of requests to this model.
    pub limits: Limits,
    /// Defaults for fields that a request omits.
    pub defaults: RequestDefaults,
    pub inputs: Vec<TensorInfo>,
    pub outputs: Vec<TensorInfo>,
    /// Total size of the model's files.
    pub size_bytes: u64,
    /// Set by `electra pull`: `google/electra-small-discriminator at commit …`.
    pub source: Option<String>,
}

/// A model that can answer requests.
#[derive(Clone)]
pub struct LoadedModel {
    pub info: ModelInfo,
    pub tokenizer: Arc<Tokenizer>,
    pub sizing: BatchSizing,
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

#[derive(Clone, Debug)]
pub enum ModelState {
    Loading,
    Ready(Arc<LoadedModel>),
    Failed {
        /// A sentence: what is wrong and what to do.
        reason: String,
    },
    /// Taken out of service by an operator, or excluded by electra.toml.
    Unloaded,
}

impl ModelState {
    /// The loaded model, if it can answer requests.
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
