//! Writes a checkpoint's graph and weights.

use std::path::Path;

use prost::Message as _;

use super::error::ExportError;
use super::head::Head;
use super::precision::Precision;
use super::source::Source;
use super::{graph, weights};
use crate::model_config::{ModelConfig, ModelShape};
use crate::task::Task;

pub const GRAPH_FILE: &str = "model.onnx";
/// Name of the file with the graph's weights.
pub const DATA_FILE: &str = "model.onnx.data";

/// The result of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    pub config: ModelConfig,
    pub shape: ModelShape,
    /// The head found in the checkpoint.
    pub head: Head,
    /// The precision of the graph.
    pub precision: Precision,
    /// Size of the graph and its data together, in bytes.
    pub bytes: u64,
    /// Names of the checkpoint's tensors that the graph does not use.
    pub unused: Vec<String>,
}

/// Limit on the tensors that a sentence names.
const NAMED_TENSORS: usize = 5;
impl Exported {
    /// A sentence about the tensors that the graph does not use; `None` if there are none.
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

/// Writes the graph of a checkpoint and its weights into an existing folder. `task` selects the head if the checkpoint
/// could have several.
///
/// # Errors
/// If the checkpoint is incomplete or not an ELECTRA model, or a file can't be read or written.
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
