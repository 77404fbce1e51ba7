//! Opens a checkpoint's folder for export.

use std::path::Path;

use super::adapter;
use super::checkpoint::Checkpoint;
use super::error::ExportError;
use crate::model_config::{ModelConfig, ModelShape};

/// An opened checkpoint folder. The numbers of its tensors are not read yet.
#[derive(Debug)]
pub struct Source {
    pub config: ModelConfig,
    /// The model's sizes.
    pub shape: ModelShape,
    pub(super) tensors: Checkpoint,
}

impl Source {
    /// Reads config.json, and the names and shapes of all tensors.
    ///
    /// # Errors
    /// If one of them is missing, damaged or not an ELECTRA model's, or if they contradict each other.
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
