//! Makes a model folder out of a checkpoint: graph, weights, tokenizer and config.json, and for int8 the comparison with
//! fp32 that decides whether it is fit to serve.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::windowed::{pair, single};
use crate::batch::{Cores, Model, Sequence};
use crate::engine::{Device, EngineError, EngineOptions, Graph, Runtime, RuntimeError};
use crate::export::comparison::{Comparison, DecisionRule, SampleLogits};
use crate::export::head::Head;
use crate::export::{DATA_FILE, ExportError, Exported, GRAPH_FILE, Precision, export_graph};
use crate::task::Task;
use crate::text::{Tokenizer, TokenizerError};

const TEXTS: &str = include_str!("../export/samples/texts.txt");
const QUESTIONS: &str = include_str!("../export/samples/questions.jsonl");

/// What to export, and where to.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// The checkpoint's folder.
    pub checkpoint: PathBuf,
    /// The model folder to write; made where it is not there. Files of an earlier export are replaced.
    pub output: PathBuf,
    /// The precision of the graph.
    pub precision: Precision,
    /// The head to take, where a checkpoint has several.
    pub task: Option<Task>,
    /// Texts to compare int8 with fp32 on, one a line; for question answering a JSON object with `question` and
    /// `context` a line. Built-in ones where `None`.
    pub samples: Option<PathBuf>,
    /// Whether to keep an int8 graph that changes more than 1% of the decisions.
    pub accept_changed_decisions: bool,
    /// ONNX Runtime's library, where it is not to be searched; read for int8 alone.
    pub onnxruntime_library: Option<PathBuf>,
}

/// What was exported, and how it compares with fp32.
#[derive(Clone, Debug)]
pub struct ExportReport {
    /// The graph.
    pub exported: Exported,
    /// For int8, the comparison on the sample texts.
    pub comparison: Option<Comparison>,
}

/// Why nothing was exported.
#[derive(Debug, Error)]
pub enum ExportFailure {
    /// The checkpoint can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The tokenizer can't be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The comparison needs ONNX Runtime.
    #[error("int8 is compared with fp32 before it is accepted, and for that: {0}")]
    Runtime(#[from] RuntimeError),
    /// The exported graph does not load or run.
    #[error("the exported graph does not run: {0}")]
    Engine(#[from] EngineError),
    /// The tokenizer has more tokens than the model has embeddings.
    #[error(
        "the tokenizer has {tokens} tokens, and config.json's vocab_size is {rows}; they do not belong together"
    )]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the word embedding.
        rows: usize,
    },
    /// The sample file is not what the task needs.
    #[error("{}, line {line}: {reason}", path.display())]
    Samples {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The graph fails on a sample.
    #[error("the exported graph fails on a sample text: {0}")]
    Run(String),
    /// int8 decides otherwise too often.
    #[error(
        "int8 changes too many decisions: {0}. Export with --precision fp32, give texts of your own kind with --samples, or \
         accept it with --accept-changed-decisions"
    )]
    ChangedDecisions(Comparison),
}

/// Exports a checkpoint; blocks. Files appear in the output folder when all of them are complete.
///
/// # Errors
/// Where the checkpoint or its tokenizer is unfit, a file can't be written, or int8 changes too many decisions.
pub fn export(request: &ExportRequest) -> Result<ExportReport, ExportFailure> {
    let tokenizer = Tokenizer::from_folder(&request.checkpoint)?;
    let written = |path: &Path, error| ExportError::Write {
        path: path.to_path_buf(),
        error,
    };
    std::fs::create_dir_all(&request.output).map_err(|error| written(&request.output, error))?;
    let folder =
        tempfile::tempdir_in(&request.output).map_err(|error| written(&request.output, error))?;
    let exported = export_graph(
        &request.checkpoint,
        folder.path(),
        request.precision,
        request.task,
    )?;
    if tokenizer.vocabulary_size() > exported.config.vocab_size {
        return Err(ExportFailure::Vocabulary {
            tokens: tokenizer.vocabulary_size(),
            rows: exported.config.vocab_size,
        });
    }
    let comparison = match request.precision {
        Precision::Fp32 => None,
        Precision::Int8 => Some(compare(request, &tokenizer, &exported, folder.path())?),
    };
    if let Some(comparison) = comparison
        && !comparison.is_accepted()
        && !request.accept_changed_decisions
    {
        return Err(ExportFailure::ChangedDecisions(comparison));
    }
    let tokenizer_path = folder.path().join("tokenizer.json");
    std::fs::write(&tokenizer_path, tokenizer.to_json()?)
        .map_err(|error| written(&tokenizer_path, error))?;
    // Without it transformers would lower-case, and a limit of the tokenizer's own would be lost.
    let settings_path = folder.path().join("tokenizer_config.json");
    let settings = tokenizer.config_json(exported.config.max_position_embeddings);
    std::fs::write(&settings_path, settings).map_err(|error| written(&settings_path, error))?;
    // Its content alone: a copy would be as read-only as the checkpoint may be.
    let config_path = request.checkpoint.join("config.json");
    let config = std::fs::read(&config_path).map_err(|error| ExportError::Read {
        path: config_path,
        error,
    })?;
    let config_path = folder.path().join("config.json");
    std::fs::write(&config_path, config).map_err(|error| written(&config_path, error))?;
    // The graph comes last: a folder without one is no model yet.
    for file in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        DATA_FILE,
        GRAPH_FILE,
    ] {
        let target = request.output.join(file);
        std::fs::rename(folder.path().join(file), &target)
            .map_err(|error| written(&target, error))?;
    }
    Ok(ExportReport {
        exported,
        comparison,
    })
}

/// Runs the samples through the int8 graph in `folder` and through an fp32 one made for this.
fn compare(
    request: &ExportRequest,
    tokenizer: &Tokenizer,
    exported: &Exported,
    folder: &Path,
) -> Result<Comparison, ExportFailure> {
    let samples = samples(request, exported.head)?;
    let max_tokens = tokenizer.max_tokens(exported.config.max_position_embeddings);
    let sequences = samples
        .iter()
        .map(|sample| sample.sequence(tokenizer, max_tokens))
        .collect::<Result<Vec<_>, TokenizerError>>()?;
    let runtime = Runtime::load(request.onnxruntime_library.as_deref())?;
    let reference_folder = tempfile::tempdir_in(folder).map_err(|error| ExportError::Write {
        path: folder.to_path_buf(),
        error,
    })?;
    export_graph(
        &request.checkpoint,
        reference_folder.path(),
        Precision::Fp32,
        request.task,
    )?;
    let reference = logits(&runtime, reference_folder.path(), &sequences, exported.head)?;
    let candidate = logits(&runtime, folder, &sequences, exported.head)?;
    let rule = DecisionRule::of(exported.head, exported.config.problem_type.as_deref());
    Ok(Comparison::new(
        &reference,
        &candidate,
        exported.head.width(),
        rule,
    ))
}

fn logits(
    runtime: &Runtime,
    folder: &Path,
    sequences: &[SampleSequence],
    head: Head,
) -> Result<Vec<SampleLogits>, ExportFailure> {
    let options = EngineOptions {
        device: Device::Cpu,
        sessions: NonZeroUsize::MIN,
    };
    let graph = Graph::load(runtime, &folder.join(GRAPH_FILE), &options)?;
    sequences
        .iter()
        .map(|sample| {
            let logits = graph
                .run(&[&sample.sequence], Cores::One)
                .map_err(ExportFailure::Run)?
                .concat();
            let rows = if matches!(head, Head::Sequence { .. }) {
                0..1
            } else {
                sample.rows.clone()
            };
            Ok(SampleLogits { logits, rows })
        })
        .collect()
}

/// A text to compare on, or a question with its context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Sample {
    Question { question: String, context: String },
    Text(String),
}

/// A sample's tokens, and the rows among them that decide.
struct SampleSequence {
    sequence: Sequence,
    rows: std::ops::Range<usize>,
}

impl Sample {
    fn sequence(
        &self,
        tokenizer: &Tokenizer,
        max_tokens: usize,
    ) -> Result<SampleSequence, TokenizerError> {
        let special = tokenizer.special_tokens();
        Ok(match self {
            Self::Text(text) => {
                let mut ids = tokenizer.tokenize(text)?.ids;
                ids.truncate(max_tokens.saturating_sub(2));
                SampleSequence {
                    rows: 1..ids.len() + 1,
                    sequence: single(special, &ids),
                }
            }
            Self::Question { question, context } => {
                let mut question = tokenizer.tokenize(question)?.ids;
                let mut context = tokenizer.tokenize(context)?.ids;
                question.truncate(max_tokens.saturating_sub(3) / 2);
                context.truncate(max_tokens.saturating_sub(3 + question.len()));
                let start = question.len() + 2;
                SampleSequence {
                    rows: start..start + context.len(),
                    sequence: pair(special, &question, &context),
                }
            }
        })
    }
}

fn samples(request: &ExportRequest, head: Head) -> Result<Vec<Sample>, ExportFailure> {
    let questions = head == Head::QuestionAnswering;
    let (path, text) = match &request.samples {
        Some(path) => {
            let read = |error| ExportError::Read {
                path: path.clone(),
                error,
            };
            (path.clone(), std::fs::read_to_string(path).map_err(read)?)
        }
        None if questions => (PathBuf::from("questions.jsonl"), QUESTIONS.to_owned()),
        None => (PathBuf::from("texts.txt"), TEXTS.to_owned()),
    };
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let samples = lines
        .map(|(index, line)| {
            if !questions {
                return Ok(Sample::Text(line.to_owned()));
            }
            serde_json::from_str(line).map_err(|_| ExportFailure::Samples {
                path: path.clone(),
                line: index + 1,
                reason:
                    "a question-answering sample is a JSON object with `question` and `context`"
                        .to_owned(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if samples.is_empty() {
        return Err(ExportFailure::Samples {
            path,
            line: 1,
            reason: "there is no sample in the file".to_owned(),
        });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(samples: Option<PathBuf>) -> ExportRequest {
        ExportRequest {
            checkpoint: PathBuf::new(),
            output: PathBuf::new(),
            precision: Precision::Int8,
            task: None,
            samples,
            accept_changed_decisions: false,
            onnxruntime_library: None,
        }
    }

    #[test]
    fn built_in_samples_fit_their_heads() {
        let texts = samples(&request(None), Head::Discriminator).unwrap();
        assert!(texts.len() > 50 && texts.iter().all(|sample| matches!(sample, Sample::Text(_))));
        let questions = samples(&request(None), Head::QuestionAnswering).unwrap();
        assert!(
            questions.len() > 30
                && questions
                    .iter()
                    .all(|sample| matches!(sample, Sample::Question { .. }))
        );
    }

    #[test]
    fn a_sample_file_that_does_not_fit_is_refused_by_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |content: &str, expected: &str| {
            std::fs::write(file.path(), content).unwrap();
            let error = samples(
                &request(Some(file.path().to_path_buf())),
                Head::QuestionAnswering,
            )
            .unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(
            "{\"question\": \"a\", \"context\": \"b\"}\n\nplain text\n",
            "line 3: a question-answering sample",
        );
        check("\n\n", "there is no sample");
    }
}
