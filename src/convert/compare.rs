//! Runs samples through two graphs of one checkpoint and compares their decisions.

use std::num::NonZeroUsize;
use std::path::Path;

use super::failure::ConvertError;
use super::samples::{self, SampleSequence};
use crate::engine::{Device, EngineError, EngineOptions, Graph, Runtime};
use crate::export::comparison::{Comparison, DecisionRule, SampleLogits};
use crate::export::head::Head;
use crate::export::{Exported, GRAPH_FILE, Precision};
use crate::inference::{Cores, Model};
use crate::text::{Tokenizer, TokenizerError};

/// The arguments of a comparison beside the graphs.
pub struct Samples<'a> {
    /// The checkpoint's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The file of samples; `None` for the built-in ones.
    pub file: Option<&'a Path>,
}

/// Compares the graph in `candidate` with the one in `reference`, both on `device`.
///
/// # Errors
/// If the samples can't be read, or a graph can't be run.
pub fn compare(
    runtime: &Runtime,
    device: Device,
    samples: &Samples,
    exported: &Exported,
    reference: &Path,
    candidate: &Path,
) -> Result<Comparison, ConvertError> {
    let max_positions = exported.shape.max_position_embeddings;
    let max_tokens = samples.tokenizer.max_tokens(max_positions);
    let sequences = samples::read(samples.file, exported.head)?
        .iter()
        .map(|sample| sample.sequence(samples.tokenizer, max_tokens))
        .collect::<Result<Vec<_>, TokenizerError>>()?;
    let logits = |folder: &Path, precision| {
        logits(runtime, device, folder, &sequences, exported.head)
            .map_err(|error| ConvertError::Run { precision, error })
    };
    let reference = logits(reference, Precision::Fp32)?;
    let candidate = logits(candidate, exported.precision)?;
    let rule = DecisionRule::of(exported.head, exported.config.problem_type);
    let width = exported.head.width();
    Ok(Comparison::new(&reference, &candidate, width, rule))
}

fn logits(
    runtime: &Runtime,
    device: Device,
    folder: &Path,
    sequences: &[SampleSequence],
    head: Head,
) -> Result<Vec<SampleLogits>, EngineError> {
    let options = EngineOptions {
        device,
        sessions: NonZeroUsize::MIN,
    };
    let graph = Graph::load(runtime, &folder.join(GRAPH_FILE), &options)?;
    sequences
        .iter()
        .map(|sample| {
            let logits = graph.run(&[&sample.sequence], Cores::One)?.concat();
            let rows = if matches!(head, Head::Sequence { .. }) {
                0..1
            } else {
                sample.rows.clone()
            };
            Ok(SampleLogits { logits, rows })
        })
        .collect()
}
